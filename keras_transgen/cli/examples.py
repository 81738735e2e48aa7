"""Command lines that help shows below the options, by the names of their commands."""

_EXAMPLES = {
    "demo": ["demo"],
    "transfer": [
        "transfer digits FOLDER",
        "transfer HANDLE FOLDER --method lora --minutes 30",
        "transfer TEXT_MODULE TABLE.tsv --text title,body --label kind",
        "transfer CODING.fa OTHERS.fa --kmers 4",
    ],
    "classify": [
        "classify CLASSIFIER.keras FOLDER --output answers.csv",
        "classify CLASSIFIER.keras FOLDER --top 3",
    ],
    "inspect": ["inspect HANDLE"],
    "extract": ["extract HANDLE FOLDER features.npz"],
    "stylize": ["stylize CONTENT.png STYLE.png"],
    "tune": [
        "tune FOLDER --trials 20 --minutes 60",
        "tune FOLDER --space kind=feature --space l2=0.001:1:log",
    ],
    "evaluate": ["evaluate REAL_FOLDER SAMPLES_OR_MODEL --image-size 64"],
    "generate train": [
        "generate train FOLDER --model gan --minutes 60",
        "generate train RECORDINGS --model wavenet --minutes 60",
    ],
    "generate sample": [
        "generate sample MODEL.keras samples.png",
        "generate sample SOUND.keras samples.wav",
    ],
    "translate train": ["translate train FOLDER --model pix2pix"],
    "text train": [
        "text train TEXT_FILE --minutes 10",
        "text train PAIRS.tsv --source english --target german",
    ],
    "text generate": ["text generate LANGUAGE_MODEL.keras --prompt 'Once upon'"],
    "text translate": ["text translate TRANSLATOR.keras TEXT_FILE --output translated.txt"],
    "text evaluate": ["text evaluate LANGUAGE_MODEL.keras TEXT_FILE"],
    "detect train": [
        "detect train VOC_FOLDER --backbone HANDLE --minutes 15",
        "detect train COCO.json --images FOLDER --backbone HANDLE",
    ],
    "detect apply": [
        "detect apply DETECTOR.keras FOLDER",
        "detect apply DETECTOR.keras FOLDER --score 0.5 --classifier CLASSIFIER.keras",
    ],
    "translate apply": ["translate apply MODEL.keras FOLDER"],
}


def examples_of(command: str) -> list[str]:
    """The examples of a command.

    Args:
        command: Its name, behind that of its group.
    """
    return [f"keras-transgen {line}" for line in _EXAMPLES[command]]


def epilog_of(command: str) -> str:
    """The examples of a command, as its help ends with them.

    Args:
        command: Its name, behind that of its group.
    """
    # Typer takes an empty line for the end of one.
    return "\n\n".join(["For example:", *examples_of(command)])
