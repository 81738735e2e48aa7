"""What files of data are called, in small letters, by what they hold."""

_PACKED = ("", ".gz")

_JPEG_SUFFIXES = (".jfif", ".jpe", ".jpeg", ".jpg")
IMAGE_SUFFIXES = (".bmp", ".gif", *_JPEG_SUFFIXES, ".png", ".tif", ".tiff", ".webp")
TABLE_SUFFIXES = tuple(f"{name}{packed}" for packed in _PACKED for name in (".csv", ".tsv", ".tab"))
WAVE_SUFFIXES = (".wav", ".wave")
FASTA_SUFFIXES = tuple(
    f"{name}{packed}"
    for name in (".fa", ".fasta", ".fna", ".ffn", ".faa", ".fas")
    for packed in _PACKED
)
TEXT_SUFFIXES = tuple(f".txt{packed}" for packed in _PACKED)
