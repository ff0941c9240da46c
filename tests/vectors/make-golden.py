#!/usr/bin/env python3
"""Makes the golden models of the plain families: small random weights, a prompt, and the logits that the published
implementations (the Python package `transformers`) give at each of its positions, in double.

usage: make-golden.py [NAME...]     (pip install torch transformers gguf) writes NAME.gguf, NAME.tokens.i32 and
NAME.logits.f32 beside this script; all of them without names. Equal packages give equal files."""
import pathlib
import sys

import numpy as np
import torch
import transformers
from gguf import ExpertGatingFuncType, GGUFWriter

HERE = pathlib.Path(__file__).resolve().parent
TOKENS = 150
SHAPE = {"hidden_size": 80, "num_attention_heads": 6, "num_key_value_heads": 2, "head_dim": 24, "num_hidden_layers": 3,
         "intermediate_size": 112, "vocab_size": 200, "max_position_embeddings": 4096, "rms_norm_eps": 1e-6}
MOE = {"intermediate_size": 64, "num_hidden_layers": 2}


def rope(kind="default", theta=10000.0, **more):
    return {"rope_type": kind, "rope_theta": theta, **more}


# name: (architecture, model, type of its configuration, what it has of its own, type of matrices)
MODELS = {
    "qwen2-a": ("qwen2", "Qwen2", {"tie_word_embeddings": True, "hidden_size": 96, "num_attention_heads": 4,
                                   "rope_parameters": rope("linear", 1e6, factor=2.5)}, np.float32),
    "qwen3-a": ("qwen3", "Qwen3", {"tie_word_embeddings": True, "rope_parameters": rope("default", 1e6)}, np.float32),
    "qwen3moe-a": ("qwen3moe", "Qwen3Moe", {**MOE, "num_experts": 6, "num_experts_per_tok": 3, "norm_topk_prob": True,
                                            "moe_intermediate_size": 48, "tie_word_embeddings": False,
                                            "rope_parameters": rope("yarn", 1e6, factor=4.0,
                                                                    original_max_position_embeddings=1024)},
                   np.float16),
    "llama-a": ("llama", "Llama", {"hidden_size": 96, "attention_bias": True, "tie_word_embeddings": False,
                                   "rope_parameters": rope("llama3", 5e5, factor=8.0, low_freq_factor=1.0,
                                                           high_freq_factor=4.0,
                                                           original_max_position_embeddings=64)}, np.float16),
    "llama-b": ("llama", "Mixtral", {**MOE, "hidden_size": 96, "num_local_experts": 5, "num_experts_per_tok": 2,
                                     "sliding_window": None, "tie_word_embeddings": True, "rms_norm_eps": 1e-5,
                                     "rope_parameters": rope("yarn", factor=8.0, beta_fast=16.0,
                                                             original_max_position_embeddings=512)}, np.float32),
}
MODELS["minimax-m2-a"] = (
    "minimax-m2", "MiniMaxM2", {"num_hidden_layers": 2, "intermediate_size": 48, "num_local_experts": 6,
                                "num_experts_per_tok": 3, "tie_word_embeddings": False,
                                "rope_parameters": rope("default", 5e6, partial_rotary_factor=2 / 3)}, np.float16)
MODELS["gemma3-a"] = (
    "gemma3", "Gemma3", {"hidden_size": 96, "num_attention_heads": 4, "num_hidden_layers": 4, "sliding_window": 40,
                         "sliding_window_pattern": 3, "query_pre_attn_scalar": 24, "tie_word_embeddings": True,
                         "rope_parameters": {"sliding_attention": rope("default", 2e4),
                                             "full_attention": rope("linear", 1e6, factor=8.0)}}, np.float16)
MODELS["gpt-oss-a"] = (
    "gpt-oss", "GptOss", {"hidden_size": 96, "num_attention_heads": 4, "intermediate_size": 64, "num_local_experts": 6,
                          "num_experts_per_tok": 3, "sliding_window": 40, "tie_word_embeddings": False,
                          "rope_parameters": rope("yarn", 150000.0, factor=32.0, beta_fast=32.0, beta_slow=1.0,
                                                  truncate=False, original_max_position_embeddings=512)}, np.float16)
MODELS["lfm2-a"] = (
    "lfm2", "Lfm2", {"hidden_size": 96, "num_attention_heads": 4, "num_hidden_layers": 4, "norm_eps": 1e-5,
                     "conv_L_cache": 3, "full_attn_idxs": [1], "block_auto_adjust_ff_dim": False,
                     "tie_word_embeddings": True, "rope_parameters": rope("default", 1e6)}, np.float16)
# What a configuration is called where it is not the model's name.
CONFIGS = {"Gemma3": "Gemma3Text"}
# The published names of a layer's tensors, and those of files.
LAYER = {"input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm", "self_attn.q_proj": "attn_q",
         "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v", "self_attn.o_proj": "attn_output",
         "self_attn.q_norm": "attn_q_norm", "self_attn.k_norm": "attn_k_norm", "mlp.gate_proj": "ffn_gate",
         "mlp.up_proj": "ffn_up", "mlp.down_proj": "ffn_down", "mlp.gate": "ffn_gate_inp"}
LAYER["mlp.router"] = "ffn_gate_inp"
OSS = {**LAYER, "post_attention_layernorm": "post_attention_norm"}
LFM = {"operator_norm": "attn_norm", "ffn_norm": "ffn_norm", "conv.conv": "shortconv.conv",
       "conv.in_proj": "shortconv.in_proj", "conv.out_proj": "shortconv.out_proj", "self_attn.q_proj": "attn_q",
       "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v", "self_attn.out_proj": "attn_output",
       "self_attn.q_layernorm": "attn_q_norm", "self_attn.k_layernorm": "attn_k_norm", "feed_forward.w1": "ffn_gate",
       "feed_forward.w3": "ffn_up", "feed_forward.w2": "ffn_down"}
# Of gemma3, whose norms are of what a block gives too.
GEMMA = {**LAYER, "post_attention_layernorm": "post_attention_norm", "pre_feedforward_layernorm": "ffn_norm",
         "post_feedforward_layernorm": "post_ffw_norm"}


def draw(model, arch, rng, dtype):
    """Random weights that the file's type holds exactly: rows of norm 1, norms near 1, biases that matter."""
    for name, b in model.named_buffers():
        if name.endswith("e_score_correction_bias"):
            b.copy_(torch.from_numpy(rng.uniform(-0.2, 0.2, b.shape).astype(np.float32)))
    for name, p in model.named_parameters():
        if name.endswith("bias"):
            v = rng.uniform(-0.5, 0.5, p.shape)
        elif name.endswith("sinks"):
            v = rng.uniform(-2, 3, p.shape)
        elif p.ndim == 1:
            v = rng.uniform(0.7, 1.3, p.shape)
        else:
            v = rng.standard_normal(p.shape) * p.shape[-1] ** -0.5 * (1.0 if "embed" not in name else 4.0)
        if name.endswith("gate_up_proj") and arch == "gpt-oss":
            v = v * 4  # beyond what its gate clamps at
        v = v.astype(np.float32 if is_f32(name, p) else dtype)
        offset = float(arch == "gemma3" and p.ndim == 1)  # the published norms hold what is added to 1
        p.data = torch.from_numpy(v.astype(np.float64) - offset)


def interleave(w, heads):
    """Rows of heads whose halves rotate together, to pairs side by side: what llama files hold."""
    return w.reshape(heads, 2, -1, *w.shape[1:]).swapaxes(1, 2).reshape(w.shape)


def oss_experts(layer, stem, v):
    """Of columns by turns, which become rows."""
    end = "bias" if stem.endswith("_bias") else "weight"
    parts = {"gate": v[..., ::2], "up": v[..., 1::2]} if stem.startswith("gate_up") else {"down": v}
    for part, values in parts.items():
        values = values if end == "bias" else values.swapaxes(1, 2)
        yield f"{layer}ffn_{part}_exps.{end}", np.ascontiguousarray(values)


def is_f32(name, p):
    return p.ndim == 1 or name.endswith(("mlp.gate.weight", "mlp.router.weight", "conv.conv.weight", "bias"))


def tensors(model, arch, dtype):
    """(name, values) of the file."""
    cfg = model.config
    for name, b in model.named_buffers():
        if name.endswith("e_score_correction_bias"):
            yield f"blk.{name.split('.')[2]}.exp_probs_b.bias", b.numpy().astype(np.float32)
    for name, p in model.named_parameters():
        v = p.detach().numpy() + float(arch == "gemma3" and p.ndim == 1)
        v = v.astype(np.float32 if is_f32(name, p) else dtype)
        parts = name.split(".")
        if parts[1] != "layers":
            yield {"model.embed_tokens.weight": "token_embd.weight", "model.norm.weight": "output_norm.weight",
                   "lm_head.weight": "output.weight", "model.embedding_norm.weight": "token_embd_norm.weight"}[name], v
            continue
        layer, stem = f"blk.{parts[2]}.", ".".join(parts[3:])
        if stem == "conv.conv.weight":
            v = v[:, 0]
        if arch == "gpt-oss" and stem.startswith("mlp.experts."):
            yield from oss_experts(layer, stem.removeprefix("mlp.experts."), v)
        elif stem == "self_attn.sinks":
            yield layer + "attn_sinks.weight", v
        elif stem == "mlp.experts.gate_up_proj":
            half = v.shape[1] // 2
            yield layer + "ffn_gate_exps.weight", np.ascontiguousarray(v[:, :half])
            yield layer + "ffn_up_exps.weight", np.ascontiguousarray(v[:, half:])
        elif stem == "mlp.experts.down_proj":
            yield layer + "ffn_down_exps.weight", v
        else:
            stem, end = stem.rsplit(".", 1)
            heads = {"self_attn.q_proj": cfg.num_attention_heads, "self_attn.k_proj": cfg.num_key_value_heads}.get(stem)
            names = {"gemma3": GEMMA, "gpt-oss": OSS, "lfm2": LFM}.get(arch, LAYER)
            yield f"{layer}{names[stem]}.{end}", interleave(v, heads) if arch == "llama" and heads else v


def llama3_factors(r, head_dim):
    """What rope_freqs.weight holds: 1 for short waves, factor for long ones, and between them a blend."""
    waves = 2 * np.pi * r["rope_theta"] ** (np.arange(0, head_dim, 2, dtype=np.float64) / head_dim)
    turns = r["original_max_position_embeddings"] / waves
    smooth = (turns - r["low_freq_factor"]) / (r["high_freq_factor"] - r["low_freq_factor"])
    return (1 / (1 + np.clip(1 - smooth, 0, 1) * (1 / r["factor"] - 1))).astype(np.float32)


def write_keys(w, cfg, dim):
    r = rope_of(cfg)
    w.add_context_length(cfg.max_position_embeddings)
    w.add_embedding_length(cfg.hidden_size)
    w.add_block_count(cfg.num_hidden_layers)
    w.add_feed_forward_length(cfg.intermediate_size)
    w.add_head_count(cfg.num_attention_heads)
    heads_kv = cfg.num_key_value_heads
    w.add_head_count_kv([heads_kv * (kind != "conv") for kind in cfg.layer_types] if w.arch == "lfm2" else heads_kv)
    w.add_key_length(dim)
    w.add_value_length(dim)
    w.add_layer_norm_rms_eps(getattr(cfg, "norm_eps", None) or cfg.rms_norm_eps)
    if w.arch == "lfm2":
        w.add_shortconv_l_cache(cfg.conv_L_cache)
    w.add_rope_freq_base(r["rope_theta"])
    w.add_rope_dimension_count(round(dim * r.get("partial_rotary_factor", 1)))
    if r["rope_type"] in ("linear", "yarn"):
        w.add_string(f"{w.arch}.rope.scaling.type", r["rope_type"])
        w.add_rope_scaling_factor(r["factor"])
    if r["rope_type"] == "yarn":
        w.add_rope_scaling_orig_ctx_len(r["original_max_position_embeddings"])
        if r.get("beta_fast"):
            w.add_float32(f"{w.arch}.rope.scaling.yarn_beta_fast", r["beta_fast"])
    if getattr(cfg, "num_experts_per_tok", None):
        w.add_expert_count(getattr(cfg, "num_experts", None) or cfg.num_local_experts)
        w.add_expert_used_count(cfg.num_experts_per_tok)
    if getattr(cfg, "moe_intermediate_size", None):
        w.add_expert_feed_forward_length(cfg.moe_intermediate_size)
    if w.arch == "minimax-m2":
        w.add_expert_feed_forward_length(cfg.intermediate_size)
        w.add_expert_gating_func(ExpertGatingFuncType.SIGMOID)
    if w.arch == "gpt-oss":
        w.add_expert_feed_forward_length(cfg.intermediate_size)
        w.add_sliding_window(cfg.sliding_window)
    if w.arch == "gemma3":
        w.add_sliding_window(cfg.sliding_window)
        w.add_sliding_window_pattern(cfg._sliding_window_pattern)
        w.add_float32("gemma3.rope.freq_base_swa", cfg.rope_parameters["sliding_attention"]["rope_theta"])


def rope_of(cfg):
    """That of all layers, or of those that see everything."""
    return cfg.rope_parameters.get("full_attention", cfg.rope_parameters)


def make(name):
    arch, family, own, dtype = MODELS[name]
    rng = np.random.default_rng(sum(name.encode()))
    cfg = getattr(transformers, CONFIGS.get(family, family) + "Config")(**{**SHAPE, **own}, attn_implementation="eager",
                                                     experts_implementation="eager")
    model = getattr(transformers, family + "ForCausalLM")(cfg).double().eval()
    draw(model, arch, rng, dtype)
    dim = getattr(cfg, "head_dim", None) or cfg.hidden_size // cfg.num_attention_heads
    w = GGUFWriter(HERE / f"{name}.gguf", arch)
    w.add_name(name)
    write_keys(w, cfg, dim)
    for tensor, values in tensors(model, arch, dtype):
        w.add_tensor(tensor, values)
    if rope_of(cfg)["rope_type"] == "llama3":
        w.add_tensor("rope_freqs.weight", llama3_factors(cfg.rope_parameters, dim))
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()
    tokens = rng.integers(0, cfg.vocab_size, TOKENS, dtype=np.int32)
    with torch.no_grad():
        logits = model(torch.from_numpy(tokens.astype(np.int64))[None]).logits[0].numpy()
    (HERE / f"{name}.tokens.i32").write_bytes(tokens.astype("<i4").tobytes())
    (HERE / f"{name}.logits.f32").write_bytes(logits.astype("<f4").tobytes())
    print(f"{name}: logits' deviation {logits.std():.2f}")


for one in sys.argv[1:] or MODELS:
    make(one)
