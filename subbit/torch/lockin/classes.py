"""What a weight does in its network, told from its name."""

from __future__ import annotations

import re

__all__ = ["weight_class"]

_CLASSES = {
    "embedding": r"embed|wte|wpe|lm_head",
    "attention qkv": r"qkv|c_attn|in_proj|query_key_value",
    "attention q": r"q_proj|query|wq|attn_q|to_q|q",
    "attention k": r"k_proj|key|wk|attn_k|to_k|k",
    "attention v": r"v_proj|value|wv|attn_v|to_v|v",
    "attention o": r"o_proj|out_proj|wo|attn_output|to_out|attn_c_proj|"
    r"(attention|attn)(\.\w+)*\.(c_proj|output|out|proj|dense)|o",
    "conv": r"conv\w*|\w+_conv",
    "mlp": r"mlp|ffn?\w*|fc\w*|feed_forward|gate\w*|up\w*|down\w*|intermediate|output|experts?|dense|w[123]|linear\w*",
}
_PATTERNS = {
    kind: re.compile(pattern if kind in ("embedding", "attention qkv") else rf"(^|[._])({pattern})(?=[._\d]|$)")
    for kind, pattern in _CLASSES.items()
}


def weight_class(name: str) -> str:
    """The class of a parameter: "attention q" (k, v, o, qkv), "mlp", "conv", "embedding", or else "other".

    Knows the names that the common model families use; the first class of this order that fits is taken.
    """
    lower = name.lower()
    return next((kind for kind, pattern in _PATTERNS.items() if pattern.search(lower)), "other")
