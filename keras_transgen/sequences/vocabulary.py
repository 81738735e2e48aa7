"""The vocabulary of a model of sequences."""

from __future__ import annotations

import codecs
import hashlib
import json
import os
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_transgen.datasets.printable import printable
from keras_transgen.datasets.whole_file import write_whole
from keras_transgen.sequences.sizes import check_whole
from keras_transgen.sequences.texts import as_texts, has_surrogates
from keras_transgen.sequences.token_codecs import (
    END,
    MAX_MODEL_BYTES,
    MAX_PIECES,
    PADDING,
    SPECIAL,
    START,
    UNKNOWN,
    ByteCodec,
    CharacterCodec,
    PieceCodec,
    TokenCodec,
)
from keras_transgen.training.config_from_file import arguments_from_file

_KINDS = ("bytes", "characters", "pieces")
_PIECES = "pieces.model"


@keras.saving.register_keras_serializable(package="keras_transgen")
class Vocabulary(keras.layers.Layer):
    """Text as numbers and back; a model keeps its vocabulary in its file.

    Make one with `Vocabulary.train`, `.characters`, `.bytes` or `.load`. In all of them 0 is
    padding, 1 the start of a text, 2 its end and 3 what is not known. In a graph (`tokenize`,
    `detokenize`) the numbers are those of Python; pieces need `tensorflow-text` there.

    Args:
        kind: `"bytes"`, `"characters"` or `"pieces"`.
        characters: Of a vocabulary of characters, in their order by code.
        size: How many tokens there are, with the four special ones.
        digest: SHA-256 of a SentencePiece model, in hexadecimal digits.
        **kwargs: `name`, as in `keras.layers.Layer`.

    Attributes:
        padding: 0.
        start: 1.
        end: 2.
        unknown: 3.

    Example:
        ```python
        import keras_transgen as ktg

        vocabulary = ktg.Vocabulary.characters(["to be", "or not"])
        tokens = vocabulary.encode("to be")
        assert vocabulary.decode(tokens) == "to be"
        ```

    Reference:
        Kudo and Richardson, "SentencePiece: A simple and language independent subword tokenizer
        and detokenizer for neural text processing", 2018.
    """

    padding, start, end, unknown = PADDING, START, END, UNKNOWN

    def __init__(
        self,
        kind: str = "bytes",
        characters: str | None = None,
        size: int | None = None,
        digest: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(trainable=False, **kwargs)
        if kind not in _KINDS:
            raise ValueError(
                "Vocabulary.train(texts), .characters(texts), .bytes() and .load(path) make a "
                f"vocabulary; its kind is one of {_KINDS}. Received: kind={printable(kind, 60)!r}"
            )
        self.kind = kind
        self.digest = digest
        self._codec: TokenCodec | None = None
        self._failure: ValueError | None = None
        if kind == "bytes":
            self._codec = ByteCodec()
        elif kind == "characters":
            self._codec = CharacterCodec(_checked_characters(characters))
        self._size = int(self._codec.size if self._codec else size or 0)
        if self._codec is None and not SPECIAL < self._size <= MAX_PIECES:
            raise ValueError(
                "Vocabulary.train(texts, size) makes a vocabulary of pieces, Vocabulary.load(path) "
                f"reads one. Received: kind={kind!r}, size={size!r}"
            )
        self.built = True

    # Ways to make one

    @classmethod
    def train(
        cls, texts: Any, size: int = 4000, kind: str = "unigram", **options: Any
    ) -> Vocabulary:
        """A vocabulary of word pieces, learnt from texts by SentencePiece (extra `text`).

        SentencePiece normalises white space and Unicode (NFKC) by default, so that decoding gives
        the normalised text.

        Args:
            texts: Strings.
            size: Tokens in all, the four special ones included, at most: few texts have fewer
                pieces. Defaults to 4000.
            kind: `"unigram"` (default) or `"bpe"`, byte pair encoding.
            **options: SentencePiece's training options, such as `byte_fallback=True`, by which
                nothing is unknown, `normalization_rule_name="identity"`, or
                `hard_vocab_limit=True`, by which fewer pieces than asked for are an error.

        Raises:
            ValueError: No texts, an unknown kind or option, or too small a size for the
                characters.
        """
        check_whole("size", size, SPECIAL + 1, MAX_PIECES)
        if kind not in ("unigram", "bpe"):
            raise ValueError(f"kind must be 'unigram' or 'bpe'. Received: kind={kind!r}")
        return cls._of_codec(PieceCodec.of(as_texts(texts, empty=True), size, kind, **options))

    @classmethod
    def characters(cls, texts: Any, size: int | None = None) -> Vocabulary:
        """The characters of texts.

        Args:
            texts: Strings.
            size: Tokens in all, the four special ones included; of more characters the rarest are
                unknown. Defaults to as many as there are.
        """
        if size is not None:
            check_whole("size", size, SPECIAL + 1)
        codec = CharacterCodec.of(as_texts(texts, empty=True), size)
        if not codec.characters:
            raise ValueError("The texts have no character. Received: empty texts alone")
        return cls("characters", characters=codec.characters)

    @classmethod
    def bytes(cls) -> Vocabulary:
        """The 256 bytes of UTF-8: any text, and nothing is unknown."""
        return cls("bytes")

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Vocabulary:
        """A vocabulary from a file: what `save` wrote, or any model of SentencePiece (`.model`).

        Args:
            path: The file.

        Raises:
            ValueError: The file is absent or no vocabulary.
        """
        file = Path(path)
        if not file.is_file():
            raise ValueError(f"There is no such file. Received: path={str(path)!r}")
        if file.stat().st_size > MAX_MODEL_BYTES:
            raise ValueError(
                f"A vocabulary has at most {MAX_MODEL_BYTES:,} bytes. "
                f"Received: path={str(path)!r} of {file.stat().st_size:,}"
            )
        content = file.read_bytes().removeprefix(codecs.BOM_UTF8)
        try:
            if not content.startswith(b"{"):
                return cls._of_codec(PieceCodec(content))
            return cls.from_config(json.loads(content))
        except (ValueError, TypeError, RecursionError) as error:
            raise ValueError(
                f"The file holds no vocabulary: {error}. Received: path={str(path)!r}"
            ) from error

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the vocabulary to a file: SentencePiece's model, or JSON.

        Args:
            path: The file, by custom `*.model` or `*.json`. One that exists is replaced.
        """
        codec = self.codec
        content = (
            codec.model
            if isinstance(codec, PieceCodec)
            else json.dumps({"kind": self.kind, **self._of_kind()}).encode()
        )
        write_whole(os.fspath(path), lambda beside: Path(beside).write_bytes(content))

    @classmethod
    def _of_codec(cls, codec: PieceCodec) -> Vocabulary:
        digest = hashlib.sha256(codec.model).hexdigest()
        vocabulary = cls("pieces", size=codec.size, digest=digest)
        vocabulary._codec = codec
        return vocabulary

    # Use

    @property
    def codec(self) -> TokenCodec:
        """What encodes and decodes."""
        if self._codec is None:
            raise ValueError(
                "This vocabulary's pieces are not loaded: it lies in a file that ktg.load_model "
                f"loads whole. Received: {self.name!r} of {self._size} pieces"
            )
        return self._codec

    @property
    def size(self) -> int:
        """How many tokens there are, the four special ones included."""
        return self._size

    def __len__(self) -> int:
        return self._size

    def __repr__(self) -> str:
        return f"<Vocabulary of {self._size} {self.kind}>"

    def equals(self, other: object) -> bool:
        """Whether another vocabulary gives every text the same tokens.

        Args:
            other: The other one.
        """
        return isinstance(other, Vocabulary) and self._identity() == other._identity()

    def _identity(self) -> tuple:
        return self.kind, self._size, self.digest, self._of_kind().get("characters")

    def encode(self, texts: Any, start: bool = False, end: bool = False) -> Any:
        """The tokens of texts.

        Args:
            texts: A string, or several.
            start: Put the start token before each. Defaults to `False`.
            end: Put the end token behind each. Defaults to `False`.

        Returns:
            A list of numbers for a string, a list of lists for several.
        """
        before, behind = [START] * start, [END] * end
        codec = self.codec
        if isinstance(texts, str):
            return before + codec.encode(as_texts([texts], empty=True)[0]) + behind
        return [before + codec.encode(each) + behind for each in as_texts(texts, empty=True)]

    def decode(self, tokens: Any) -> Any:
        """The text of tokens; padding and start are left out, and what follows an end.

        Args:
            tokens: Numbers of one text, `[length]`, or of several, `[count, length]` or a list of
                lists.

        Returns:
            A string, or a list of strings. What was not known is `"\ufffd"` (a question mark in
            a diamond), or `" \u2047 "` from a vocabulary of pieces.

        Raises:
            ValueError: A number is no token.
        """
        if isinstance(tokens, (tf.Tensor, tf.RaggedTensor)):
            tokens = tokens.to_list() if isinstance(tokens, tf.RaggedTensor) else tokens.numpy()
        if not isinstance(tokens, (list, tuple, np.ndarray)) or getattr(tokens, "ndim", 1) == 0:
            raise ValueError(
                "Tokens come as a list of whole numbers, or several lists. "
                f"Received: tokens={printable(tokens, 60)!r}"
            )
        if len(tokens) and np.ndim(tokens[0]):
            return [self.decode(each) for each in tokens]
        numbers = np.asarray(tokens, dtype=int if len(tokens) == 0 else None)
        wrong = numbers.dtype.kind not in "iu" or np.any((numbers < 0) | (numbers >= self._size))
        if wrong:
            raise ValueError(
                f"Tokens of this vocabulary are whole numbers from 0 to {self._size - 1}. "
                f"Received: {printable(list(tokens)[:20], 120)}"
            )
        ends = np.flatnonzero(numbers == END)
        kept = numbers[: ends[0]] if len(ends) else numbers
        return self.codec.decode(kept[(kept != PADDING) & (kept != START)].tolist())

    def tokenize(self, texts: Any) -> tf.RaggedTensor:
        """The tokens of texts in a graph, as `encode` gives them.

        Args:
            texts: Strings `[batch]`.

        Returns:
            int32 `[batch, (length)]`.
        """
        return self.codec.tokenize(tf.convert_to_tensor(texts, tf.string))

    def detokenize(self, tokens: Any) -> tf.Tensor:
        """The texts of tokens in a graph, as `decode` gives them.

        Args:
            tokens: Ints `[batch, length]`, ragged or not.

        Returns:
            Strings `[batch]`.
        """
        if not isinstance(tokens, tf.RaggedTensor):
            tokens = tf.RaggedTensor.from_tensor(tokens)
        ended = tf.cast(tokens == END, tf.int32)
        before = tf.cumsum(ended.to_tensor(), axis=1) == 0
        before = tf.RaggedTensor.from_tensor(before, lengths=tokens.row_lengths())
        kept = before & (tokens != PADDING) & (tokens != START)
        return self.codec.detokenize(tf.ragged.boolean_mask(tokens, kept))

    # Files

    def _of_kind(self) -> dict[str, Any]:
        if isinstance(self._codec, CharacterCodec):
            return {"characters": self._codec.characters}
        return {}

    def get_config(self) -> dict[str, Any]:
        kept = {"kind": self.kind, **self._of_kind()}
        if self.kind == "pieces":
            kept |= {"size": self._size, "digest": self.digest}
        return {"name": self.name, **kept}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Vocabulary:
        return cls(**arguments_from_file(cls, config))

    def save_assets(self, folder: str) -> None:
        """Write the pieces into a file's assets."""
        codec = self.codec
        if isinstance(codec, PieceCodec):
            path = os.path.join(folder, _PIECES)
            write_whole(path, lambda beside: Path(beside).write_bytes(codec.model))

    def load_assets(self, folder: str) -> None:
        """Read the pieces out of a file's assets."""
        # Keras asks once for each way to the vocabulary, and says what the last one met.
        if self.kind != "pieces" or self._codec is not None:
            return
        try:
            self._codec = self._codec_in(folder)
        except ValueError as error:
            self._failure = self._failure or error
            raise self._failure from None

    def _codec_in(self, folder: str | None) -> PieceCodec:
        file = Path(folder or ".", _PIECES)
        if folder is None or not file.is_file() or file.stat().st_size > MAX_MODEL_BYTES:
            raise ValueError(
                "The file lacks its vocabulary, or it is larger than a vocabulary is. Get it again "
                f"from where it was made. Received: {self.name!r}"
            )
        content = file.read_bytes()
        if hashlib.sha256(content).hexdigest() != self.digest:
            raise ValueError(
                "The vocabulary in the file is not the one that its model was made with. Get it "
                f"again from where it was made. Received: {self.name!r} of {len(content):,} bytes"
            )
        codec = PieceCodec(content)
        if codec.size != self._size:
            raise ValueError(
                "The vocabulary in the file has another size than its model. Get it again from "
                f"where it was made. Received: {codec.size} pieces where {self._size} were expected"
            )
        return codec

    def check_whole(self) -> None:
        """Refuse a vocabulary of pieces whose pieces were not in the file."""
        if self._codec is None:
            self.load_assets(None)  # type: ignore[arg-type]


def _checked_characters(characters: Any) -> str:
    if not isinstance(characters, str) or not characters:
        raise ValueError(
            "Vocabulary.characters(texts) makes a vocabulary of characters. "
            f"Received: characters={printable(characters, 60)!r}"
        )
    if list(characters) != sorted(set(characters)) or has_surrogates(characters):
        raise ValueError(
            "characters must be given once each, in their order by code, none of them half a pair. "
            f"Received: characters={printable(characters, 60)!r}"
        )
    return characters
