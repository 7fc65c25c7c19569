"""One module per format family: a reader yields chunks, a writer takes them; commit on close, or leave nothing."""
