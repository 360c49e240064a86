"""Tiny language models made on the spot, in folders as Hugging Face's libraries write them."""

from __future__ import annotations

from pathlib import Path

import torch
from transformers import BertConfig, BertModel, BertTokenizer

WORDS = (
    *("item", ".", ",", "w", "x", "y", "z", "city", "interests", "age", "below", "to", "more"),
    *(str(number) for number in range(60)),
    *"abcdefghijklmnopqrstuv",
)
CHARACTERS = tuple("红色运动鞋蓝外套电影喜剧恐怖音乐书籍城市北京上海")


def tiny_bert(folder: Path, words: tuple[str, ...] = WORDS, seed: int = 0) -> str:
    """The folder of a BERT with 3 layers, 16 wide, that knows `words`."""
    folder.mkdir(parents=True)
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *words]
    (folder / "vocab.txt").write_text("\n".join(dict.fromkeys(vocabulary)) + "\n")
    tokenizer = BertTokenizer(str(folder / "vocab.txt"))
    tokenizer.save_pretrained(folder)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        config = BertConfig(
            vocab_size=len(vocabulary),
            hidden_size=16,
            num_hidden_layers=3,
            num_attention_heads=2,
            intermediate_size=32,
            max_position_embeddings=64,
        )
        BertModel(config).save_pretrained(folder, safe_serialization=True)
    return str(folder)
