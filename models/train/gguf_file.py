"""The model as a GGUF file: written for fulgur and read back."""
import json
import pathlib

import gguf
import numpy as np
import torch

from m1 import M1, Shape

ARCH = "minimax-01"


def load(path):
    """A file of this architecture as a model in float32."""
    reader = gguf.GGUFReader(path)
    get = lambda key: reader.fields[f"{ARCH}.{key}"].contents()
    s = Shape(hidden=get("embedding_length"), layers=get("block_count"),
              heads=get("attention.head_count"), kv_heads=get("attention.head_count_kv"),
              head_dim=get("attention.key_length"), rotary=get("rope.dimension_count"),
              experts=get("expert_count"), used=get("expert_used_count"),
              ff=get("feed_forward_length"), context=get("context_length"),
              theta=get("rope.freq_base"), alpha=get("residual_scale"),
              eps=get("attention.layer_norm_rms_epsilon"))
    softmax = [not r for r in get("attention.recurrent_layers")]
    s.vocab = len(reader.fields["tokenizer.ggml.tokens"].contents())
    s.lightning = lambda layer: not softmax[layer]
    model = M1(s)
    tensors = {t.name: t for t in reader.tensors}
    for name in model.names:
        t = tensors[name + ".weight"]
        value = gguf.dequantize(t.data, t.tensor_type).astype(np.float32)
        with torch.no_grad():
            model.get(name).copy_(torch.from_numpy(value).view(model.get(name).shape))
    return model


TYPES = {"f16": gguf.GGMLQuantizationType.F16, "q8_0": gguf.GGMLQuantizationType.Q8_0}
FILE_TYPES = {"f16": gguf.LlamaFileType.MOSTLY_F16, "q8_0": gguf.LlamaFileType.MOSTLY_Q8_0}
PUBLISHED = pathlib.Path(__file__).resolve().parents[2] / "tests/vectors/m1-a.gguf"


def put_tokenizer(writer, path):
    data = json.loads(pathlib.Path(path).read_text())
    ids = data["model"]["vocab"]
    special = {t["content"] for t in data["added_tokens"] if t["special"]}
    tokens = sorted(ids, key=ids.get)
    kind = gguf.TokenType
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("minimax-m2")
    writer.add_token_list(tokens)
    writer.add_token_types([kind.CONTROL if t in special else kind.NORMAL for t in tokens])
    writer.add_token_merges([" ".join(m) if isinstance(m, list) else m
                             for m in data["model"]["merges"]])
    writer.add_bos_token_id(ids["<beginning_of_sentence>"])
    writer.add_eos_token_id(ids["<end_of_sentence>"])
    writer.add_add_bos_token(False)
    template = gguf.GGUFReader(PUBLISHED).fields["tokenizer.chat_template"].contents()
    writer.add_chat_template(template)


def put_shape(writer, s):
    writer.add_context_length(s.context)
    writer.add_embedding_length(s.hidden)
    writer.add_block_count(s.layers)
    writer.add_feed_forward_length(s.ff)
    writer.add_head_count(s.heads)
    writer.add_head_count_kv(s.kv_heads)
    writer.add_key_length(s.head_dim)
    writer.add_value_length(s.head_dim)
    writer.add_rope_freq_base(s.theta)
    writer.add_rope_dimension_count(s.rotary)
    writer.add_layer_norm_rms_eps(s.eps)
    writer.add_expert_count(s.experts)
    writer.add_expert_used_count(s.used)
    writer.add_float32(f"{ARCH}.residual_scale", s.alpha)
    writer.add_vocab_size(s.vocab)
    writer.add_array(f"{ARCH}.attention.recurrent_layers",
                     [s.lightning(i) for i in range(s.layers)])


def save(model, tokenizer, path, kind, name):
    """Matrices as `kind` ("f16" or "q8_0"); norms and the experts' router stay float32."""
    writer = gguf.GGUFWriter(path, ARCH)
    writer.add_name(name)
    writer.add_license("apache-2.0")
    writer.add_file_type(FILE_TYPES[kind])
    put_shape(writer, model.shape)
    put_tokenizer(writer, tokenizer)
    for tensor in model.names:
        value = model.get(tensor).detach().float().numpy()
        plain = value.ndim == 1 or "gate_inp" in tensor
        to = gguf.GGMLQuantizationType.F32 if plain else TYPES[kind]
        writer.add_tensor(tensor + ".weight", gguf.quantize(value, to), raw_dtype=to)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
