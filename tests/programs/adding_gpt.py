"""A small GPT that adds digits: attention by hand, AdamW with and without decay, generation that grows the sequence."""

import math

import torch
import torch.nn as nn
from torch.nn import functional as F


class CausalSelfAttention(nn.Module):
    def __init__(self, n_embd, n_head, block_size):
        super().__init__()
        assert n_embd % n_head == 0
        self.c_attn = nn.Linear(n_embd, 3 * n_embd)
        self.c_proj = nn.Linear(n_embd, n_embd)
        self.register_buffer("bias", torch.tril(torch.ones(block_size, block_size)).view(1, 1, block_size, block_size))
        self.n_head = n_head
        self.n_embd = n_embd

    def forward(self, x):
        B, T, C = x.size()
        q, k, v = self.c_attn(x).split(self.n_embd, dim=2)
        k = k.view(B, T, self.n_head, C // self.n_head).transpose(1, 2)
        q = q.view(B, T, self.n_head, C // self.n_head).transpose(1, 2)
        v = v.view(B, T, self.n_head, C // self.n_head).transpose(1, 2)
        att = (q @ k.transpose(-2, -1)) * (1.0 / math.sqrt(k.size(-1)))
        att = att.masked_fill(self.bias[:, :, :T, :T] == 0, float("-inf"))
        att = F.softmax(att, dim=-1)
        y = att @ v
        y = y.transpose(1, 2).contiguous().view(B, T, C)
        return self.c_proj(y)


class Block(nn.Module):
    def __init__(self, n_embd, n_head, block_size):
        super().__init__()
        self.ln_1 = nn.LayerNorm(n_embd)
        self.attn = CausalSelfAttention(n_embd, n_head, block_size)
        self.ln_2 = nn.LayerNorm(n_embd)
        self.mlp = nn.ModuleDict(
            dict(c_fc=nn.Linear(n_embd, 4 * n_embd), c_proj=nn.Linear(4 * n_embd, n_embd), act=nn.GELU())
        )
        m = self.mlp
        self.mlpf = lambda x: m.c_proj(m.act(m.c_fc(x)))

    def forward(self, x):
        x = x + self.attn(self.ln_1(x))
        x = x + self.mlpf(self.ln_2(x))
        return x


class GPT(nn.Module):
    def __init__(self, vocab_size, block_size, n_layer=2, n_head=4, n_embd=64):
        super().__init__()
        self.block_size = block_size
        self.transformer = nn.ModuleDict(
            dict(
                wte=nn.Embedding(vocab_size, n_embd),
                wpe=nn.Embedding(block_size, n_embd),
                h=nn.ModuleList([Block(n_embd, n_head, block_size) for _ in range(n_layer)]),
                ln_f=nn.LayerNorm(n_embd),
            )
        )
        self.lm_head = nn.Linear(n_embd, vocab_size, bias=False)
        self.apply(self._init_weights)
        for pn, p in self.named_parameters():
            if pn.endswith("c_proj.weight"):
                torch.nn.init.normal_(p, mean=0.0, std=0.02 / math.sqrt(2 * n_layer))

    def _init_weights(self, module):
        if isinstance(module, nn.Linear):
            torch.nn.init.normal_(module.weight, mean=0.0, std=0.02)
            if module.bias is not None:
                torch.nn.init.zeros_(module.bias)
        elif isinstance(module, nn.Embedding):
            torch.nn.init.normal_(module.weight, mean=0.0, std=0.02)
        elif isinstance(module, nn.LayerNorm):
            torch.nn.init.zeros_(module.bias)
            torch.nn.init.ones_(module.weight)

    def configure_optimizers(self, lr, weight_decay, betas):
        decay, no_decay = set(), set()
        for mn, m in self.named_modules():
            for pn, _ in m.named_parameters(recurse=False):
                fpn = f"{mn}.{pn}" if mn else pn
                if pn.endswith("bias") or isinstance(m, (nn.LayerNorm, nn.Embedding)):
                    no_decay.add(fpn)
                else:
                    decay.add(fpn)
        param_dict = {pn: p for pn, p in self.named_parameters()}
        assert len(decay & no_decay) == 0 and len(param_dict.keys() - (decay | no_decay)) == 0
        optim_groups = [
            {"params": [param_dict[pn] for pn in sorted(decay)], "weight_decay": weight_decay},
            {"params": [param_dict[pn] for pn in sorted(no_decay)], "weight_decay": 0.0},
        ]
        return torch.optim.AdamW(optim_groups, lr=lr, betas=betas)

    def forward(self, idx, targets=None):
        device = idx.device
        _, t = idx.size()
        assert t <= self.block_size, f"Cannot forward sequence of length {t}"
        pos = torch.arange(0, t, dtype=torch.long, device=device).unsqueeze(0)
        x = self.transformer.wte(idx) + self.transformer.wpe(pos)
        for block in self.transformer.h:
            x = block(x)
        x = self.transformer.ln_f(x)
        logits = self.lm_head(x)
        loss = None
        if targets is not None:
            loss = F.cross_entropy(logits.view(-1, logits.size(-1)), targets.view(-1), ignore_index=-1)
        return logits, loss

    @torch.no_grad()
    def generate(self, idx, max_new_tokens, temperature=1.0, do_sample=False, top_k=None):
        for _ in range(max_new_tokens):
            idx_cond = idx if idx.size(1) <= self.block_size else idx[:, -self.block_size :]
            logits, _ = self(idx_cond)
            logits = logits[:, -1, :] / temperature
            if top_k is not None:
                v, _ = torch.topk(logits, top_k)
                logits[logits < v[:, [-1]]] = -float("Inf")
            probs = F.softmax(logits, dim=-1)
            if do_sample:
                idx_next = torch.multinomial(probs, num_samples=1)
            else:
                _, idx_next = torch.topk(probs, k=1, dim=-1)
            idx = torch.cat((idx, idx_next), dim=1)
        return idx


def digits_of(a, b, ndigit):
    """'85', '50' and their sum, least digit first, as one row: 8 5 5 0 5 3 1."""
    render = f"{a:0{ndigit}d}{b:0{ndigit}d}" + f"{a + b:0{ndigit + 1}d}"[::-1]
    return [int(s) for s in render]


def exact(model, device, pairs, ndigit, batch_size=100, **how):
    """The share of sums that the model finds whole."""
    factors = torch.tensor([[10**i for i in range(ndigit + 1)]], device=device)
    powers = torch.tensor([[10**i for i in range(ndigit)][::-1]], device=device)
    right = 0
    model.eval()
    for i in range(0, len(pairs), batch_size):
        x = torch.tensor([digits_of(a, b, ndigit) for a, b in pairs[i : i + batch_size]], dtype=torch.long).to(device)
        d1d2 = x[:, : ndigit * 2]
        d1d2d3 = model.generate(d1d2, ndigit + 1, **how)
        d3 = d1d2d3[:, -(ndigit + 1) :]
        d1i = (d1d2[:, :ndigit] * powers).sum(1)
        d2i = (d1d2[:, ndigit : ndigit * 2] * powers).sum(1)
        d3i_pred = (d3 * factors).sum(1)
        correct = (d3i_pred == d1i + d2i).cpu()
        right += correct.sum().item()
    model.train()
    return right / len(pairs)


def main(device, batches, held_out, ndigit=2, lr=5e-4, weight_decay=0.1, grad_norm_clip=1.0, warmup=20, prepare=None,
         check_every=0, **sizes):  # fmt: skip
    """The loss of each step, and the share of held-out sums found at the end (or as soon as all are)."""
    block_size = 3 * ndigit
    model = GPT(10, block_size, **sizes).to(device)
    if prepare is not None:
        prepare(model)
    optimizer = model.configure_optimizers(lr, weight_decay, (0.9, 0.95))
    losses = []
    model.train()
    for step, pairs in enumerate(batches):
        mult = step / warmup if step < warmup else 0.5 * (1.0 + math.cos(math.pi * step / len(batches)))
        for param_group in optimizer.param_groups:
            param_group["lr"] = lr * max(0.1, mult)
        dix = torch.tensor([digits_of(a, b, ndigit) for a, b in pairs], dtype=torch.long)
        x, y = dix[:, :-1].clone(), dix[:, 1:].clone()
        y[:, : ndigit * 2 - 1] = -1  # only the sum is to be learned
        x, y = x.to(device), y.to(device)
        _, loss = model(x, y)
        model.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), grad_norm_clip)
        optimizer.step()
        losses.append(loss.item())
    return losses, exact(model, device, held_out, ndigit), model
