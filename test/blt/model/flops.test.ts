import { describe, expect, test } from 'vitest';
import { bltFlops, transformerFlops } from '../../../packages/blt/src/model/flops.ts';
import { fixture } from '../../support/fixture.ts';

interface TransformerCase {
  name: string;
  l: number;
  h: number;
  V: number;
  bytes_per_token: number;
  ctx_bytes: number;
  per_token: number;
  per_byte: number;
}
interface BltCase extends Record<'global_' | 'enc' | 'dec' | 'enc_cross' | 'dec_cross', number> {
  name: string;
  args: Record<'hG' | 'lG' | 'hE' | 'lE' | 'hD' | 'lD' | 'n_ctx' | 'n_p' | 'k', number> & { wE?: number; wD?: number };
  total_forward_per_byte: number;
  train_per_byte: number;
}
const { cases } = fixture<{ cases: (TransformerCase | BltCase)[] }>('flops.json');
const close = (a: number, b: number) => expect(Math.abs(a / b - 1)).toBeLessThan(1e-12);

const sizeOf = ({ args: a }: BltCase) => ({
  globalWidth: a.hG,
  globalLayers: a.lG,
  encoderWidth: a.hE,
  encoderLayers: a.lE,
  decoderWidth: a.hD,
  decoderLayers: a.lD,
  contextBytes: a.n_ctx,
  patchBytes: a.n_p,
  k: a.k,
  encoderWindow: a.wE,
  decoderWindow: a.wD,
});

describe('golden', () => {
  test.each(cases.filter((c) => 'per_token' in c))('transformer $name', (c) => {
    const context = c.ctx_bytes / c.bytes_per_token;
    const flops = transformerFlops({ layers: c.l, width: c.h, context, vocab: c.V });
    close(flops, c.per_token);
    close(flops / c.bytes_per_token, c.per_byte);
  });
  test.each(cases.filter((c) => 'args' in c))('$name', (c) => {
    const flops = bltFlops(sizeOf(c));
    close(flops.global, c.global_);
    close(flops.encoder, c.enc);
    close(flops.decoder, c.dec);
    close(flops.encoderCross, c.enc_cross);
    close(flops.decoderCross, c.dec_cross);
    close(flops.forward, c.total_forward_per_byte);
    close(flops.training, c.train_per_byte);
  });
  test('all nine cases were used', () => expect(cases.length).toBe(9));
});

test('larger patches cost fewer FLOPs per byte', () => {
  const size = sizeOf(cases.find((c): c is BltCase => c.name === 'BLT-1B ps4.5')!);
  const perByte = [1, 2, 4, 8, 16].map((patchBytes) => bltFlops({ ...size, patchBytes }).forward);
  expect(perByte).toEqual([...perByte].sort((a, b) => b - a));
});

test('a size that is not above 0 is refused by name', () => {
  const size = sizeOf(cases.find((c): c is BltCase => 'args' in c)!);
  expect(() => bltFlops({ ...size, patchBytes: 0 })).toThrow('patchBytes must be above 0, got 0');
});
