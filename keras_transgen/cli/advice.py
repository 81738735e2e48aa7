"""Errors of the library as the command line would say them: with options instead of arguments."""

from __future__ import annotations

import re

# What advice says that has no option, or another name there; the first that matches is taken.
_SENTENCES = (
    (r" ?For [\w ]+s without classes, pass labelled=False\.", ""),
    (r", or pass labelled=False\.", "."),
    (r"stratified_split expected enough", "Expected enough"),
    (r" or change test_fraction\.", " or give others with --validation."),
    (r" with test_fraction=[\d.]+", ""),
    (r"; skip_missing=True leaves others out\.",
     ". Correct it, or leave the row out; --skip-broken of classify does so."),
    (
        r"Give text= and label= by name, or by number from 0, as in a table without a header; "
        r"label=None if there are no labels; separator= if the fields were not told apart\.",
        "Give --text and --label by name, or by number from 0, as in a table without a header.",
    ),
    (r", or say separator= or quotes= if they are others than .*?\. (?=Received)", ". "),
    (r" Where quotes are characters of the text, pass quotes=False\.", " Double a lone quote."),
    (r"Pass separator= if it is another\.", "Save it as CSV or TSV."),
    (r"Give text= and label= by", "Give --text and --label by"),
    (r"(\w+) expected at most max_bytes=([\d,]+); give more where memory allows\.",
     r"Expected at most \2 bytes. Split the file."),
    (r"at most max_bytes=([\d,]+)( together)?; give more where memory allows, or fewer seconds or "
     r"a lower sample_rate\.",
     r"at most \1 bytes\2. Give fewer --seconds or a lower --sample-rate."),
    (r"at most max_bytes=([\d,]+); give more where memory allows, or another sample_rate\.",
     r"at most \1 bytes. Give another --sample-rate."),
    (r"at most max_bytes=([\d,]+)\. Give more where memory allows, or cut the longest sequences: "
     r"all take as much as the longest\.", r"at most \1 bytes. Give a shorter --length."),
    (r"at most max_bytes=([\d,]+)\. Take a smaller k, or give more where memory allows\.",
     r"at most \1 bytes. Give a smaller --kmers."),
    (r", and pass class_names= if others are known\.", "."),
    (r"among class_names=", "among the classes of the training data, "),
    (r", or codes for several of them with ambiguity=True\.", "."),
    (r"FeatureTransfer extracts each length by itself; or give batches of one length each\.",
     "--method feature extracts each length by itself; or give all one length with --seconds or "
     "--length."),
    (r"[Uu]se FeatureTransfer\b", "Use --method feature"),
    (r"give all one length that it takes: pad or cut them\.",
     "give all one length that it takes with --length or --seconds."),
    (r"^\S+ passes over (?=\d)", "Passed over: "),
    (r"^Exception encountered when calling [^\n]*\n+(?:\x1b\[1m)?(.*?)(?:\x1b\[0m)?"
     r"\n+Arguments received by (?:.|\n)*$", r"\1"),
    (r"Or name layers, scales=\[\.\.\.\], as backbone\.layer_names\(\) lists them\.",
     "Or name layers with --scales."),
    (r"scales=\(([^()]*?),?\)", r"--scales \1"),
    (r"in the folder, which the second argument names\.", "in the folder; name it with --images."),
    (r"than max_boxes; raise it in the constructor\.", "than --max-boxes; give more."),
    (r"allow_unsafe_ops=True", "--allow-unsafe-ops"),
    (r"skip_empty=True", "--skip-empty"),
    (r"skip_broken=True", "--skip-broken"),
    (r"\w+ expected text in encoding='utf-8'\. Pass the file's own, often [^.]*\.",
     "Expected text in UTF-8. Save the file so (in Excel \"CSV UTF-8\"), or convert it: "
     "iconv -f latin1 -t utf-8 FILE > NEW."),
    (r"[Gg]ive learning_rate a number", "Give --learning-rate a number"),
    (r"\bpass header=False\b", "give --no-header"),
    (r"pass a larger context_length, or", "train with a larger --context, or"),
    (r"context_length - 1 = ", "one less than its context, "),
    (r"(?<=Received: )model_dim=(\d+), num_heads=\d+", r"--width \1"),
    (r"model_dim must be a multiple of num_heads", "--width must be a multiple of 4"),
)  # fmt: skip
_OPTIONS = (
    "alphabet",
    "augmentation",
    "batch_size",
    "classifier",
    "epochs",
    "image_size",
    "label",
    "latent_dim",
    "layers",
    "learning_rate",
    "length",
    "max_boxes",
    "method",
    "pattern",
    "rank",
    "sample_rate",
    "seconds",
    "seed",
    "split",
    "text",
)
_ARGUMENT = re.compile(rf"(?:^|(?<=[\s(]))({'|'.join(_OPTIONS)})=(?=\S)")


def as_options(message: str) -> str:
    """A message about arguments of Python, in the words of the command line.

    Args:
        message: What an error says.

    Example:
        ```python
        from keras_transgen.cli.advice import as_options

        assert as_options("Received: image_size=3") == "Received: --image-size 3"
        ```
    """
    # What was received may be a stranger's text, in which nothing is changed but names of options.
    for pattern, words in _SENTENCES:
        message = re.sub(pattern, words, message)
    return _ARGUMENT.sub(lambda found: f"--{found[1].replace('_', '-')} ", message)
