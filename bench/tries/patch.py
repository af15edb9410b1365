import re
def sub(f,a,b,n=1):
    p='/tmp/exp/packages/blt/src/'+f; s=open(p).read(); assert a in s,(f,a); s=s.replace(a,b,n); open(p,'w').write(s)
X="((globalThis as any).X ?? {})"
# init std: 0 -> zeros ok
sub('model/parameters.ts',"    if (std === null) values.fill(1);","    if (std === null) values.fill(1);\n    else if (std <= 0) values.fill(-std);")
sub('model/parameters.ts',"    matrix(`${name}.o_proj`, c.hiddenSize, c.hiddenSize),\n  ];","    matrix(`${name}.o_proj`, c.hiddenSize, c.hiddenSize, X().zeroInit && !name.includes('cross') ? 0 : undefined),\n  ];")
sub('model/parameters.ts',"      matrix(`${at}.mlp.down_proj`, c.hiddenSize, c.intermediateSize),","      matrix(`${at}.mlp.down_proj`, c.hiddenSize, c.intermediateSize, X().zeroInit ? 0 : undefined),")
sub('model/parameters.ts',"const matrix = (","const X = () => (globalThis as any).X ?? {};\nconst matrix = (")
sub('model/parameters.ts',"    norm('model.local_decoder.norm', local),","""    ...(X().x0 ? Array.from({ length: c.decoder.numHiddenLayers }, (_, i) => ({ name: `model.local_decoder.x0.${i}.weight`, shape: [local], std: -(X().x0init ?? 0) })) : []),
    ...(X().x0v ? Array.from({ length: c.decoder.numHiddenLayers }, (_, i) => matrix(`model.local_decoder.x0v.${i}`, local, local, 0)) : []),
    norm('model.local_decoder.norm', local),""")
sub('model/blt.ts',"  let h = bytes;\n  p.layers.forEach((layer, i) => {","  let h = bytes;\n  p.layers.forEach((layer, i) => {\n    if ((p as any).x0) { const b = h; h = scope(() => add(b, mul((globalThis as any).x0t, (p as any).x0[i].weight))); }\n    if ((p as any).x0v) { const b = h; h = scope(() => add(b, linear((globalThis as any).x0t, (p as any).x0v[i].weight))); }")
sub('model/blt.ts',"  add,\n","  add, mul, tanh,\n")
sub('model/blt.ts',"  const { bytes, patches } = localEncoder(","  (globalThis as any).x0t = x;\n  const { bytes, patches } = localEncoder(")
sub('model/blt.ts',"  return linear(dropout?.output(states) ?? states, p.lm_head.weight);","  const lo = linear(dropout?.output(states) ?? states, p.lm_head.weight);\n  const cap = ((globalThis as any).X ?? {}).cap;\n  return cap ? affine(tanh(affine(lo, 1 / cap)), cap) : lo;")
# qk-norm
sub('model/layers.ts',"  const q = rotated(linear(x, p.q_proj.weight)); // [n, heads * D]\n  const keys = rotated(linear(x, p.k_proj.weight)); // [n, kvHeads * D]","""  const qk = (y: Tensor) => { const X = (globalThis as any).X ?? {}; if (!X.qk) return y; const D = c.hiddenSize / c.numAttentionHeads; const k = 'o' + D; const one = ((globalThis as any).ones ??= {})[k] ??= full([D], X.qk, { backend: y.backend }); return reshape(rmsNorm(reshape(y, [y.size / D, D]), one, 1e-5), y.shape); };
  const q = rotated(qk(linear(x, p.q_proj.weight)));
  const keys = rotated(qk(linear(x, p.k_proj.weight)));""")
sub('model/layers.ts',"  recompute,\n","  recompute, reshape, relu, square, \n")
sub('model/layers.ts',"import { scope, type Tensor }","import { full, scope, type Tensor }")
sub('model/layers.ts',"    const hidden = swiGlu(linear(x, p.gate_proj.weight), linear(x, p.up_proj.weight));","    const hidden = ((globalThis as any).X ?? {}).relu2 ? square(relu(linear(x, p.up_proj.weight))) : swiGlu(linear(x, p.gate_proj.weight), linear(x, p.up_proj.weight));")
sub('model/parameters.ts',"      matrix(`${at}.mlp.gate_proj`, c.intermediateSize, c.hiddenSize),","      ...(X().relu2 ? [] : [matrix(`${at}.mlp.gate_proj`, c.intermediateSize, c.hiddenSize)]),")
# schedule
sub('training/training-loop.ts',"{ schedule: 'cosine', ...schedule }","{ schedule: ((globalThis as any).X ?? {}).schedule ?? 'cosine', ...schedule }")
# muon
sub('training/training-loop.ts',"      this.optimizer.update(gradients, lr, { scale: factor });","      const X = (globalThis as any).X ?? {};\n      if (X.muon) {\n        muonStep(this.params, gradients, factor, lr, X);\n      }\n      this.optimizer.update(gradients, lr, { scale: factor });")
s=open('/tmp/exp/packages/blt/src/training/training-loop.ts').read()
s+='''
const bufs = new Map<string, any>();
import { full, run, tensor, zeros } from '@blt-ts/tensor';
import { add, affine, mul, sub } from '@blt-ts/autograd';
import { orthogonalize } from '../optim/muon.ts';
import { overwriteWith } from '../optim/tree-optimizer.ts';
function muonStep(params: any, gradients: Map<string, any>, factor: any, lr: number, X: any) {
  const peak = X.peak;
  for (const [name, p] of leaves(params)) {
    if (!/(self_attn|mlp|cross_attn)/.test(name) || p.rank !== 2) continue;
    if (X.muon !== 'all' && !name.includes(X.muon)) continue;
    const g = gradients.get(name);
    let b = bufs.get(name);
    if (!b) { b = zeros(p.shape, { backend: p.backend }); bufs.set(name, b); }
    scope(() => {
      overwriteWith(b, add(affine(b, X.mu ?? 0.95), mul(g, factor)));
      const d = orthogonalize(add(mul(g, factor), affine(b, X.mu ?? 0.95)), X.ns ?? 5);
      const [m, n] = p.shape;
      const l = (lr / peak) * X.muonLr;
      overwriteWith(p, sub(affine(p, 1 - l * (X.muonWd ?? 0)), affine(d, l * Math.sqrt(Math.max(1, m / n)))));
      overwriteWith(g, zeros(p.shape, { backend: p.backend }));
    });
  }
}
'''
open('/tmp/exp/packages/blt/src/training/training-loop.ts','w').write(s)
