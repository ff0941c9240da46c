"""MiniMax-M1's architecture in plain PyTorch: lightning and softmax attention, experts, post-norm.

The formulas are those of docs/numerics.md; check_golden.py holds them against the published model's
own logits. Weights have the names and shapes of the GGUF file, without "weight".
"""
import dataclasses
import math

import torch
import torch.nn.functional as F

CHUNK = 64  # tokens of a block of lightning attention


@dataclasses.dataclass
class Shape:
    vocab: int = 4096
    hidden: int = 192
    layers: int = 8
    heads: int = 8
    kv_heads: int = 2
    head_dim: int = 32
    rotary: int = 16
    experts: int = 8
    used: int = 2
    ff: int = 192
    context: int = 8192
    theta: float = 1e7
    alpha: float = 3.5565588200778455
    eps: float = 1e-5

    def lightning(self, layer):
        """Whether the layer is lightning attention: of eight, the last is softmax attention."""
        return layer % 8 != 7


def slopes(n):
    """The decay of each head before the layer's factor: ALiBi's."""
    if n & (n - 1) == 0:
        return [2 ** (-8 * (h + 1) / n) for h in range(n)]
    p = 1 << (n.bit_length() - 1)
    return slopes(p) + slopes(2 * p)[0::2][:n - p]


def norm(x, weight, eps):
    return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + eps) * weight


def rotate(x, cos, sin):
    """Rotary positions on the first dimensions: the first half of them pairs with the second."""
    half = cos.shape[-1]
    a, b, rest = x[..., :half], x[..., half:2 * half], x[..., 2 * half:]
    return torch.cat([a * cos - b * sin, b * cos + a * sin, rest], -1)


class M1(torch.nn.Module):
    def __init__(self, shape):
        super().__init__()
        self.shape = s = shape
        heads, kv = s.heads * s.head_dim, s.kv_heads * s.head_dim
        sizes = {"token_embd": (s.vocab, s.hidden), "output_norm": (s.hidden,),
                 "output": (s.vocab, s.hidden)}
        for i in range(s.layers):
            own = {"attn_norm": (s.hidden,), "ffn_norm": (s.hidden,),
                   "attn_output": (s.hidden, heads), "ffn_gate_inp": (s.experts, s.hidden),
                   "ffn_gate_exps": (s.experts, s.ff, s.hidden),
                   "ffn_up_exps": (s.experts, s.ff, s.hidden),
                   "ffn_down_exps": (s.experts, s.hidden, s.ff)}
            if s.lightning(i):
                own |= {"attn_qkv": (3 * heads, s.hidden), "attn_gate": (heads, s.hidden),
                        "attn_norm_2": (heads,)}
            else:
                own |= {"attn_q": (heads, s.hidden), "attn_k": (kv, s.hidden),
                        "attn_v": (kv, s.hidden)}
            sizes |= {f"blk.{i}.{name}": size for name, size in own.items()}
        self.names = list(sizes)
        self.w = torch.nn.ParameterDict(
            {name.replace(".", "/"): torch.nn.Parameter(torch.empty(size))
             for name, size in sizes.items()})

    def get(self, name):
        return self.w[name.replace(".", "/")]

    def init(self, seed):
        """Norms at 1, matrices of deviation width^-1/2, those that end a branch smaller."""
        g = torch.Generator().manual_seed(seed)
        for name in self.names:
            p = self.get(name)
            with torch.no_grad():
                if p.dim() == 1:
                    p.fill_(1)
                elif name == "token_embd":
                    p.normal_(0, 1, generator=g)
                else:
                    scale = 0.5 if name.endswith(("attn_output", "ffn_down_exps", "output")) else 1
                    p.normal_(0, scale * p.shape[-1] ** -0.5, generator=g)

    def decay(self, layer, dtype):
        """lambda^(0..CHUNK) for each head: [heads, CHUNK + 1]."""
        s = self.shape
        factor = 1 - layer / (s.layers - 1) + 1e-5
        slope = torch.tensor(slopes(s.heads), dtype=torch.float64) * factor
        return torch.exp(-slope[:, None] * torch.arange(CHUNK + 1, dtype=torch.float64)).to(dtype)

    def lightning(self, layer, n):
        """n: [batch, tokens, hidden], tokens a multiple of CHUNK."""
        s, b, t = self.shape, n.shape[0], n.shape[1]
        w = lambda name: self.get(f"blk.{layer}.{name}")
        x = F.silu(F.linear(n, w("attn_qkv")))
        x = x.view(b, t // CHUNK, CHUNK, s.heads, 3, s.head_dim).permute(4, 0, 3, 1, 2, 5)
        q, k, v = x[0], x[1], x[2]  # [batch, heads, chunks, CHUNK, dim]
        power = self.decay(layer, n.dtype)
        i = torch.arange(CHUNK)
        back = (i[:, None] - i[None, :]).clamp(min=0)
        inside = torch.where(i[:, None] >= i[None, :], power[:, back], 0)[:, None]
        out = ((q @ k.transpose(-1, -2)) * inside) @ v
        # What each chunk adds to the state, and the state at each chunk's start.
        added = (k * power[:, CHUNK - 1 - i][:, None, :, None]).transpose(-1, -2) @ v
        whole, states = power[:, CHUNK][None, :, None, None], []
        state = torch.zeros_like(added[:, :, 0])
        for c in range(t // CHUNK):
            states.append(state)
            state = state * whole + added[:, :, c]
        out = out + (q * power[:, 1 + i][:, None, :, None]) @ torch.stack(states, 2)
        out = out.permute(0, 2, 3, 1, 4).reshape(b, t, -1)
        out = norm(out, w("attn_norm_2"), 1e-6) * torch.sigmoid(F.linear(n, w("attn_gate")))
        return F.linear(out, w("attn_output"))

    def softmax(self, layer, n, cos, sin):
        s, b, t = self.shape, n.shape[0], n.shape[1]
        w = lambda name: self.get(f"blk.{layer}.{name}")
        split = lambda name, heads: F.linear(n, w(name)).view(b, t, heads,
                                                              s.head_dim).transpose(1, 2)
        q, k = rotate(split("attn_q", s.heads), cos, sin), rotate(split("attn_k", s.kv_heads),
                                                                  cos, sin)
        each = s.heads // s.kv_heads
        k, v = (x.repeat_interleave(each, 1) for x in (k, split("attn_v", s.kv_heads)))
        out = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return F.linear(out.transpose(1, 2).reshape(b, t, -1), w("attn_output"))

    def experts(self, layer, n):
        """The output, and for training the balance: 1 when every expert has the same share."""
        s, shape = self.shape, n.shape
        w = lambda name: self.get(f"blk.{layer}.{name}")
        n = n.reshape(-1, s.hidden)
        p = torch.softmax((n @ w("ffn_gate_inp").T).to(n.dtype), -1)
        top, which = p.topk(s.used, -1)
        top = top / top.sum(-1, keepdim=True)
        order = which.reshape(-1).argsort(stable=True)
        counts = torch.bincount(which.reshape(-1), minlength=s.experts)
        token = order // s.used
        rows, outs = n[token], []
        for e, x in enumerate(rows.split(counts.tolist())):
            h = F.silu(F.linear(x, w("ffn_gate_exps")[e])) * F.linear(x, w("ffn_up_exps")[e])
            outs.append(F.linear(h, w("ffn_down_exps")[e]))
        weighted = torch.cat(outs) * top.reshape(-1)[order][:, None]
        out = torch.zeros_like(n).index_add(0, token, weighted.to(n.dtype))
        share = counts.to(p.dtype) / counts.sum()
        balance = s.experts * (share * p.mean(0)).sum()
        return out.view(shape), balance

    def forward(self, tokens):
        """tokens: [batch, length] -> logits [batch, length, vocab], mean balance of the experts."""
        s, length = self.shape, tokens.shape[1]
        tokens = F.pad(tokens, (0, -length % CHUNK))
        x = self.get("token_embd")[tokens]
        at = torch.arange(tokens.shape[1], dtype=torch.float64)
        freq = s.theta ** (-torch.arange(0, s.rotary, 2, dtype=torch.float64) / s.rotary)
        angle = at[:, None] * freq[None, :]
        cos, sin = torch.cos(angle).to(x.dtype), torch.sin(angle).to(x.dtype)
        balance = 0
        for i in range(s.layers):
            n = norm(x, self.get(f"blk.{i}.attn_norm"), s.eps)
            x = s.alpha * n + (self.lightning(i, n) if s.lightning(i) else
                               self.softmax(i, n, cos, sin))
            n = norm(x, self.get(f"blk.{i}.ffn_norm"), s.eps)
            moe, b = self.experts(i, n)
            x, balance = s.alpha * n + moe, balance + b / s.layers
        x = norm(x[:, :length], self.get("output_norm"), s.eps)
        return F.linear(x, self.get("output")), balance
