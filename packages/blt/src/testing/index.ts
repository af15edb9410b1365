/**
 * @file @blt-ts/blt/testing: the laws of a model that predicts the next byte or token. They need fast-check, an optional peer, and no
 * test runner in particular.
 *
 * ```ts
 * import { modelLaws } from '@blt-ts/blt/testing';
 * for (const law of modelLaws({ name: 'my model', classes: 256, texts, logits })) test(law.name, () => law.check());
 * ```
 */
export { type ModelUnderTest, modelLaws } from './model-laws.ts';
