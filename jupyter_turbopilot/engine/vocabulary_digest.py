"""A digest of a vocabulary, so that two servers can tell whether they mean the same by token ids."""

from __future__ import annotations

import hashlib
from itertools import count
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

if TYPE_CHECKING:
    from jupyter_turbopilot.engine.vocabulary import Vocabulary

DIGITS = 32
_known: WeakKeyDictionary[Vocabulary, str] = WeakKeyDictionary()


def vocabulary_digest(vocabulary: Vocabulary) -> str:
    """Return the digest of all tokens' bytes and of the control tokens.

    It is computed once; with a hundred thousand tokens that takes long enough to keep it off an event loop.
    """
    if (digest := _known.get(vocabulary)) is None:
        digest = _known[vocabulary] = _computed(vocabulary)
    return digest


def _computed(vocabulary: Vocabulary) -> str:
    controls = {token: text.encode() for text, token in vocabulary.specials.items()}
    digest = hashlib.sha256()
    for token in count():
        try:
            data = vocabulary.piece(token)
        except IndexError:
            break
        # One reader of a vocabulary pads it with tokens without bytes where another leaves them out, and one
        # gives a control token bytes where another gives it none.
        if data and token not in controls:
            digest.update(b"%d %d %b\n" % (token, len(data), data))
    for token, text in sorted(controls.items()):
        digest.update(b"control %d %d %b\n" % (token, len(text), text))
    return digest.hexdigest()[:DIGITS]
