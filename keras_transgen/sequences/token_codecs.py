"""Text to numbers and back: by bytes, by characters, or by SentencePiece's pieces.

The first four numbers are the same in all of them: padding, start, end, and what is not known.
"""

from __future__ import annotations

import functools
import importlib
import io
import itertools
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, Protocol

import numpy as np
import tensorflow as tf

PADDING, START, END, UNKNOWN = range(4)
SPECIAL = 4
_REPLACEMENT = "\ufffd"
MAX_PIECES = 2**20
MAX_MODEL_BYTES = 2**28
# SentencePiece's sign for white space, of which it reads no longer sentences than so many bytes.
_WORD, _LONGEST = "\u2581", 4192
# How SentencePiece says that texts have fewer pieces.
_MOST_SAID = re.compile(r"set it to a value <= (\d+)")


class TokenCodec(Protocol):
    """One way to write text as numbers.

    Attributes:
        kind: Its name in files.
        size: How many numbers there are, the four special ones included.
    """

    kind: str
    size: int

    def encode(self, text: str) -> list[int]:
        """The tokens of a text, without special ones."""

    def tokens_reading(self, text: str) -> list[int]:
        """The tokens that alone are read as a text, white space around it aside; or none."""

    def decode(self, tokens: Sequence[int]) -> str:
        """The text of tokens, none of which is padding, start or end."""

    def tokenize(self, texts: tf.Tensor) -> tf.RaggedTensor:
        """The same as `encode` in a graph: strings `[batch]` to int32 `[batch, (length)]`."""

    def detokenize(self, tokens: tf.RaggedTensor) -> tf.Tensor:
        """The same as `decode` in a graph."""


class ByteCodec:
    """Every byte of UTF-8 is a token; nothing is unknown."""

    kind = "bytes"
    size = SPECIAL + 256

    def encode(self, text: str) -> list[int]:
        return [byte + SPECIAL for byte in text.encode()]

    def tokens_reading(self, text: str) -> list[int]:
        found = self.encode(text)
        return found if len(found) == 1 else []

    def decode(self, tokens: Sequence[int]) -> str:
        whole = bytes(token - SPECIAL for token in tokens if token >= SPECIAL)
        return whole.decode(errors="replace")

    def tokenize(self, texts: tf.Tensor) -> tf.RaggedTensor:
        pieces = tf.strings.bytes_split(texts)
        values = tf.io.decode_raw(pieces.flat_values, tf.uint8)
        return pieces.with_flat_values(tf.cast(tf.reshape(values, [-1]), tf.int32) + SPECIAL)

    def detokenize(self, tokens: tf.RaggedTensor) -> tf.Tensor:
        table = tf.constant([bytes([byte]) for byte in range(256)])
        kept = tf.ragged.boolean_mask(tokens, tokens >= SPECIAL)
        joined = tf.strings.reduce_join(
            kept.with_flat_values(tf.gather(table, kept.flat_values - SPECIAL)), axis=-1
        )
        # As Python replaces what is no UTF-8; a generated text may end within a character.
        return tf.strings.unicode_transcode(joined, "UTF-8", "UTF-8", errors="replace")


class CharacterCodec:
    """Every character of a list is a token.

    Args:
        characters: The characters, each once, in their order by code.
    """

    kind = "characters"

    def __init__(self, characters: str) -> None:
        self.characters = characters
        self.size = SPECIAL + len(characters)
        self._tokens = {each: SPECIAL + place for place, each in enumerate(characters)}
        self._codes = np.array([ord(each) for each in characters], "int32")

    @classmethod
    def of(cls, texts: Sequence[str], size: int | None) -> CharacterCodec:
        """The most frequent characters of texts."""
        counts = Counter(itertools.chain.from_iterable(texts))
        # Halves of pairs, which no UTF-8 has.
        known = [each for each, _ in counts.most_common() if not "\ud800" <= each <= "\udfff"]
        kept = known if size is None else known[: size - SPECIAL]
        return cls("".join(sorted(kept)))

    def encode(self, text: str) -> list[int]:
        return [self._tokens.get(each, UNKNOWN) for each in text]

    def tokens_reading(self, text: str) -> list[int]:
        return [self._tokens[text]] if text in self._tokens else []

    def decode(self, tokens: Sequence[int]) -> str:
        return "".join(
            self.characters[token - SPECIAL] if token >= SPECIAL else _REPLACEMENT
            for token in tokens
        )

    def tokenize(self, texts: tf.Tensor) -> tf.RaggedTensor:
        codes = tf.strings.unicode_decode(texts, "UTF-8")
        values = codes.flat_values
        # By search rather than by a table, which would be a resource of the graph.
        place = tf.searchsorted(self._codes, values)
        place = tf.minimum(place, len(self._codes) - 1)
        known = tf.gather(self._codes, place) == values
        return codes.with_flat_values(tf.where(known, place + SPECIAL, UNKNOWN))

    def detokenize(self, tokens: tf.RaggedTensor) -> tf.Tensor:
        table = np.concatenate([np.full(SPECIAL, ord(_REPLACEMENT), "int32"), self._codes])
        codes = tokens.with_flat_values(tf.gather(table, tokens.flat_values))
        return tf.strings.unicode_encode(codes, "UTF-8")


class PieceCodec:
    """SentencePiece's pieces (unigram or byte pairs).

    Args:
        model: SentencePiece's model, serialised.

    Raises:
        ValueError: It is none, or larger than a vocabulary is.
    """

    kind = "pieces"

    def __init__(self, model: bytes) -> None:
        self.model = model
        processor = _sentencepiece().SentencePieceProcessor()
        try:
            processor.LoadFromSerializedProto(model)
            pieces = processor.GetPieceSize()
        except (RuntimeError, TypeError) as error:
            raise ValueError(
                f"This is no model of SentencePiece. Received: {len(model)} bytes; {error}"
            ) from error
        if not 0 < pieces <= MAX_PIECES:
            raise ValueError(
                f"A vocabulary has between 1 and {MAX_PIECES:,} pieces. Received: {pieces:,}"
            )
        self._processor = processor
        special = {processor.pad_id(), processor.bos_id(), processor.eos_id(), processor.unk_id()}
        ordinary = [piece for piece in range(pieces) if piece not in special]
        # Of a model made elsewhere the special pieces stand at other numbers.
        self._pieces = np.array([processor.unk_id()] * SPECIAL + ordinary, "int32")
        self._tokens = np.full(pieces, UNKNOWN, "int32")
        self._tokens[ordinary] = np.arange(SPECIAL, SPECIAL + len(ordinary))
        self.size = SPECIAL + len(ordinary)

    @classmethod
    def of(cls, texts: Sequence[str], size: int, kind: str, **options: Any) -> PieceCodec:
        """Pieces trained on texts."""
        written = io.BytesIO()
        settings: dict[str, Any] = {
            "character_coverage": 1.0,
            "pad_id": PADDING,
            "bos_id": START,
            "eos_id": END,
            "unk_id": UNKNOWN,
            "minloglevel": 2,
            "hard_vocab_limit": False,
            **options,
        }
        if kind == "bpe" and "hard_vocab_limit" not in options:
            # It knows no softer limit.
            del settings["hard_vocab_limit"]
        trainer = _sentencepiece().SentencePieceTrainer
        try:
            trainer.train(
                sentence_iterator=_sentences(texts),
                model_writer=written,
                vocab_size=size,
                model_type=kind,
                **settings,
            )
        except (RuntimeError, OSError) as error:
            most = _MOST_SAID.search(str(error))
            if most and "hard_vocab_limit" not in options and SPECIAL < int(most[1]) < size:
                return cls.of(texts, int(most[1]), kind, **options)
            if "unknown field name" in str(error):
                raise ValueError(
                    "SentencePiece has no such option of training; see its documentation. "
                    f"Received: {sorted(options)}; SentencePiece says: {error}"
                ) from error
            raise ValueError(
                "SentencePiece cannot make a vocabulary of this size of these texts: it must hold "
                "their characters, and no more pieces than they have. "
                f"Received: size={size} and {len(texts)} texts; SentencePiece says: {error}"
            ) from error
        except TypeError as error:
            raise ValueError(
                "size and kind are arguments of their own, the rest are SentencePiece's options of "
                f"training. Received: {sorted(options)}; {error}"
            ) from error
        return cls(written.getvalue())

    def encode(self, text: str) -> list[int]:
        return self._tokens[self._processor.EncodeAsIds(text)].tolist() if text else []

    def tokens_reading(self, text: str) -> list[int]:
        # Where a word begins, and within one.
        pieces = {_WORD + text.strip(), text.strip().removeprefix(_WORD)}
        found = self._tokens[[self._processor.PieceToId(piece) for piece in sorted(pieces)]]
        return found[found != UNKNOWN].tolist()

    def decode(self, tokens: Sequence[int]) -> str:
        return self._processor.DecodeIds(self._pieces[np.asarray(tokens, int)].tolist())

    @functools.cached_property
    def in_graph(self) -> Any:
        """The tokenizer of `tensorflow-text`, which has the model as a resource."""
        try:
            text = importlib.import_module("tensorflow_text")
        except ImportError as error:
            raise ValueError(
                "Pieces are made in a graph by tensorflow-text: pip install 'keras-transgen[text]'"
                f". Received: {error}"
            ) from error
        # Its model is a resource, which must not belong to the graph that asks for it first.
        with tf.init_scope():
            return text.SentencepieceTokenizer(self.model, out_type=tf.int32)

    def tokenize(self, texts: tf.Tensor) -> tf.RaggedTensor:
        pieces = self.in_graph.tokenize(texts)
        return pieces.with_flat_values(tf.gather(self._tokens, pieces.flat_values))

    def detokenize(self, tokens: tf.RaggedTensor) -> tf.Tensor:
        pieces = tokens.with_flat_values(tf.gather(self._pieces, tokens.flat_values))
        return self.in_graph.detokenize(pieces)


def _sentences(texts: Sequence[str]) -> Iterator[str]:
    """Texts in parts that SentencePiece does not pass over, cut at white space where there is."""
    longest = _LONGEST // 4
    for text in texts:
        for line in text.splitlines():
            while len(line) > longest:
                cut = max(line.rfind(" ", 1, longest), 0) or longest
                yield line[:cut]
                line = line[cut:]
            if line and not line.isspace():
                yield line


def _sentencepiece() -> Any:
    try:
        return importlib.import_module("sentencepiece")
    except ImportError as error:
        raise ValueError(
            "Vocabularies of pieces need SentencePiece: pip install 'keras-transgen[text]'. "
            "Vocabulary.characters(texts) and Vocabulary.bytes() need nothing. "
            f"Received: {error}"
        ) from error
