from fastdl.files.audio.recordings import open_audio as open_audio
from fastdl.files.audio.recordings import read_audio as read_audio
from fastdl.files.audio.wav import WavReader as WavReader
from fastdl.files.audio.wav import WavWriter as WavWriter
