"""Every kind of file that is read: its name, a good one, what stands beside it, and what reads it whole."""

import gzip
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tests.fuzz import _good_files as good
from tests.fuzz import _readings as read


@dataclass(frozen=True)
class Kind:
    """A kind of input: its file's name, a good one's bytes, what stands beside it, and what reads it whole."""

    name: str
    make: Callable[[], bytes]
    read: Callable[[Path], object]
    beside: Callable[[Path], None] | None = None
    needs: str = ""


KINDS = {
    kind.name: kind
    for kind in [
        Kind("pcm16.wav", good.wav("PCM_16"), read.audio, needs="soundfile"),
        Kind("pcm24.wav", good.wav("PCM_24"), read.audio, needs="soundfile"),
        Kind("float.w64", good.wav("FLOAT", form="W64"), read.audio, needs="soundfile"),
        Kind("pcm32.wav", good.wav("PCM_32"), read.audio, needs="soundfile"),
        Kind("double.wav", good.wav("DOUBLE"), read.audio, needs="soundfile"),
        Kind("phone.wav", good.wav("ULAW"), read.audio, needs="soundfile"),
        Kind("adpcm.wav", good.wav("IMA_ADPCM"), read.audio, needs="soundfile"),
        Kind("studio.aiff", good.wav("PCM_24", form="AIFF"), read.audio, needs="soundfile"),
        Kind("sun.au", good.wav("ALAW", form="AU"), read.audio, needs="soundfile"),
        Kind("apple.caf", good.wav("ALAC_24", form="CAF"), read.audio, needs="soundfile"),
        Kind("big.rf64", good.wav("PCM_16", form="RF64"), read.audio, needs="soundfile"),
        Kind("music.flac", good.wav("PCM_16", form="FLAC"), read.audio, needs="soundfile"),
        Kind("music.ogg", good.wav("VORBIS", form="OGG"), read.audio, needs="soundfile"),
        Kind("music.mp3", good.wav("MPEG_LAYER_III", form="MP3"), read.audio, needs="soundfile"),
        Kind("voice.opus", good.wav("OPUS", form="OGG"), read.audio, needs="soundfile"),
        Kind("gsm.wav", good.wav("GSM610", channels=1), read.audio, needs="soundfile"),
        Kind("pipe.w64", good.w64_of_a_pipe, read.audio, needs="soundfile"),
        Kind("samples.raw", lambda: bytes(range(251)) * 3, read.raw),
        Kind("codes.npy.json", good.description_text, read.description),
        Kind("codes.npy", lambda: good.npy(np.arange(500, dtype=np.uint8) % 200), read.codes, read.codes_sidecar),
        Kind("kitti.bin", good.cloud("kitti.bin"), read.points),
        Kind("nuscenes.pcd.bin", good.cloud("nuscenes.pcd.bin"), read.points),
        Kind("plain.npy", good.cloud("plain.npy"), read.points),
        Kind("records.npy", good.cloud("records.npy"), read.points),
        Kind("columns.npz", good.cloud("columns.npz"), read.points),
        Kind("packed.npz", lambda: good.npz(points=np.arange(800.0).reshape(-1, 4)), read.points),
        Kind("ascii.pcd", good.cloud("ascii.pcd"), read.points),
        Kind("binary.pcd", good.cloud("binary.pcd"), read.points),
        Kind("compressed.pcd", good.cloud("compressed.pcd"), read.points),
        Kind("ascii.ply", good.cloud("ascii.ply"), read.points),
        Kind("little.ply", good.cloud("little.ply"), read.points),
        Kind("big.ply", good.cloud("big.ply"), read.points),
        Kind("lists.ply", good.lists_ply, read.points),
        Kind("colours.pcd", good.coloured("U"), read.points),
        Kind("packed.pcd", good.coloured("F"), read.points),
        Kind(
            "open3d.npz",
            good.open3d_npz,
            read.points,
        ),
        Kind("points.csv", good.csv_cloud, read.points),
        Kind("colours.xyzrgb", good.xyzrgb, read.points),
        Kind("plain.las", good.las(extra=True), read.points),
        Kind("wide.las", good.las(version="1.4", fmt=8), read.points),
        Kind("chunks.laz", good.las(compressed=True), read.points, needs="lazrs"),
        Kind("layers.laz", good.las(compressed=True, version="1.4", fmt=7, extra=True), read.points, needs="lazrs"),
        Kind("stream.laz", good.stream, read.points, needs="lazrs"),
        Kind("scan.e57", good.e57, read.points, needs="pye57"),
        Kind("genome.fa", good.fasta, read.sequences),
        Kind("genome.fa.gz", lambda: good.bgzip(good.fasta()), read.sequences),
        Kind("reads.fastq", good.fastq, read.sequences),
        Kind("reads.fastq.gz", lambda: gzip.compress(good.fastq(), mtime=0), read.sequences),
        Kind("genome.2bit", good.twobit, read.sequences),
        Kind("genome.fa.fai", good.fai, read.index),
        Kind("calls.vcf", good.vcf_text, read.variants),
        Kind("calls.vcf.gz", lambda: gzip.compress(good.vcf_text(), mtime=0), read.variants),
        Kind("regions.bed", good.bed_text, read.regions),
        Kind("edges.csv", good.edges_csv, read.graph),
        Kind("edges.npy", lambda: good.npy(np.arange(98).reshape(2, -1)), read.graph),
        Kind("edges.npz", lambda: good.npz(edges=np.arange(98).reshape(2, -1)), read.graph),
        Kind("sparse.npz", good.scipy_npz, read.graph, needs="scipy"),
        Kind("graph.mtx", good.market, read.graph),
        Kind("table.csv", good.table_csv, read.table),
        Kind("table.npy", lambda: good.npy(np.arange(400.0).reshape(-1, 4)), read.table),
        Kind("table.parquet", good.parquet, read.table, needs="pyarrow"),
        Kind("peaks.narrowPeak", good.narrow_peaks, read.regions),
        Kind("regions.csv", good.regions_csv, read.regions),
        Kind("regions.parquet", good.regions_frame, read.regions, needs="pyarrow"),
        Kind("edges.csv.gz", lambda: gzip.compress(good.edges_csv(), mtime=0), read.graph),
        Kind("edges.parquet", good.edges_frame, read.graph, needs="pyarrow"),
        Kind("rows.npz", good.rows_npz, read.graph),
        Kind("names.txt", good.names, read.names),
        Kind("named.csv", good.named_edges, read.named_graph),
        Kind("features.npy", lambda: good.npy(np.arange(60.0).reshape(-1, 4)), read.features),
        Kind("fitted.csv", good.table_csv, read.fitted),
        Kind("fitted.npz", lambda: good.npz(a=np.arange(40.0), y=np.arange(40) % 7), read.fitted),
        Kind(
            "table.arrow",
            good.table_arrow,
            read.table,
            needs="pyarrow",
        ),
        Kind("table.csv.gz", lambda: gzip.compress(good.table_csv(), mtime=0), read.table),
        Kind("model.json", good.model, read.model),
        Kind("record.jsonl", good.record, read.record),
    ]
}
