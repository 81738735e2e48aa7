"""The embedded default data and small readers. Importing this room does not import TensorFlow."""

from keras_transgen.datasets.as_arrays import as_arrays
from keras_transgen.datasets.audio_folder import AudioFolder, audio_folder
from keras_transgen.datasets.by_class import sample_per_class, stratified_split
from keras_transgen.datasets.coco_boxes import coco_boxes
from keras_transgen.datasets.digits import load_digits, load_digits_split
from keras_transgen.datasets.fasta import FastaRecord, read_fasta
from keras_transgen.datasets.idx import load_idx_folder, read_idx
from keras_transgen.datasets.image_check import unreadable_images
from keras_transgen.datasets.image_folder import image_folder, image_folder_split
from keras_transgen.datasets.image_index import ImageIndex, index_images
from keras_transgen.datasets.image_pairs import image_pairs
from keras_transgen.datasets.kmer_counts import kmer_counts, kmer_names
from keras_transgen.datasets.midi_file import read_midi, write_midi
from keras_transgen.datasets.one_hot_sequences import DNA, PROTEIN, RNA, one_hot_sequences
from keras_transgen.datasets.text_table import TextTable, text_table
from keras_transgen.datasets.viewed_image import read_image
from keras_transgen.datasets.voc_boxes import voc_boxes
from keras_transgen.datasets.wave_file import Wave, read_wav, write_wav

__all__ = [
    "DNA",
    "PROTEIN",
    "RNA",
    "AudioFolder",
    "FastaRecord",
    "ImageIndex",
    "TextTable",
    "Wave",
    "as_arrays",
    "audio_folder",
    "coco_boxes",
    "image_folder",
    "image_folder_split",
    "image_pairs",
    "index_images",
    "kmer_counts",
    "kmer_names",
    "load_digits",
    "load_digits_split",
    "load_idx_folder",
    "one_hot_sequences",
    "read_fasta",
    "read_idx",
    "read_image",
    "read_midi",
    "read_wav",
    "sample_per_class",
    "stratified_split",
    "text_table",
    "unreadable_images",
    "voc_boxes",
    "write_midi",
    "write_wav",
]
