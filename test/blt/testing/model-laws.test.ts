/** @file The laws of models hold for random BLTs and their decoder, and find models that break them, each by a short text. */
import { Decoder } from '@blt-ts/blt';
import { type ModelUnderTest, modelLaws } from '@blt-ts/blt/testing';
import { type Backend, createReferenceBackend } from '@blt-ts/tensor';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { holdLaws } from '../../support/property.ts';
import { configs, predict, row, seeds, smallModel } from '../../support/small-model.ts';

// In 64 bits, so that only an order of sums is left of a difference.
const exact = createReferenceBackend({ precision: 'f64' });

/** Random BLTs, as the laws see them. */
const blts = (backend: Backend): fc.Arbitrary<ModelUnderTest> =>
  fc.record({ config: configs, seed: seeds }).map(({ config, seed }) => {
    const model = smallModel(config, seed, backend);
    return {
      name: 'BLT',
      classes: config.vocabSize,
      texts: row(2, 16),
      logits: (texts) => predict(model, texts).logits,
      incremental(text, pieces) {
        const decoder = new Decoder(model, { sequences: 1 });
        let at = 0;
        const found = pieces.flatMap((n) => [...decoder.feed([text.subarray(at, (at += n))], { all: true })[0]]);
        decoder.release();
        return Float32Array.from(found);
      },
      tolerance: 1e-6,
    };
  });

describe('random BLTs', () => {
  holdLaws(modelLaws(blts(exact), 'BLT'));
});

/** A model that counts: logit v after id t is how often v has been read up to t. What `reach` adds to t is read too. */
function counting({ reach = 0, leak = false, forgetful = false } = {}): ModelUnderTest {
  const classes = 5;
  const count = (text: Int32Array, rest: number): Float32Array => {
    const logits = new Float32Array(text.length * classes);
    text.forEach((_, t) => {
      for (let s = 0; s <= Math.min(t + reach, text.length - 1); s++) logits[t * classes + text[s]] += 1 + s;
      logits[t * classes] += leak ? rest : 0;
    });
    return logits;
  };
  return {
    name: 'counting',
    classes,
    texts: fc.array(fc.nat({ max: classes - 1 }), { minLength: 2, maxLength: 12 }).map((ids) => Int32Array.from(ids)),
    logits: (texts) => texts.map((text) => count(text, texts.length - 1)),
    incremental: (text, pieces) =>
      forgetful && pieces.length > 1
        ? count(
            text.map(() => 0),
            0,
          )
        : count(text, 0),
  };
}

describe('models that break the laws', () => {
  const broken = (model: ModelUnderTest) =>
    modelLaws(model).flatMap((law) => {
      try {
        law.check({ seed: 7 });
        return [];
      } catch (error) {
        return [(error as Error).message];
      }
    });

  test('a model that counts what it has read breaks none', () => {
    expect(broken(counting())).toEqual([]);
  });
  test.each([
    {
      what: 'one that looks a byte ahead',
      model: counting({ reach: 1 }),
      law: 'changing an id moves no logit before it',
    },
    {
      what: 'one that looks at the batch',
      model: counting({ leak: true }),
      law: 'a text has the same logits alone and among others',
    },
    {
      what: 'a decoder that forgets',
      model: counting({ forgetful: true }),
      law: 'a text read in pieces has the logits of the whole text',
    },
    {
      what: 'one that reads nothing',
      model: {
        ...counting(),
        logits: (texts: readonly Int32Array[]) => texts.map((t) => new Float32Array(5 * t.length)),
      },
      law: 'changing an id moves the logits after it',
    },
  ])('$what', ({ model, law }) => {
    const messages = broken(model);
    const found = messages.find((message) => message.includes(law));
    expect(found, messages.join('\n')).toBeDefined();
    const [, ids] = /Int32Array\.from\(\[([\d,]*)\]\)/.exec(found!) ?? [];
    expect(ids.split(',').length, found).toBeLessThanOrEqual(4);
  });
});
