/**
 * @file The files that transformers looks for beside the weights: keys of config.json, the tokenizer, and how it generates. With them
 * `AutoTokenizer` and `pipeline('text-generation')` open an exported model.
 */
import { type BltConfig, longestText } from '../model/config.ts';
import { BOE, BOS, BPE, BYTE_OFFSET, EOS } from '../patching/vocabulary.ts';
import { configToHuggingFace } from './huggingface-config.ts';

type Json = Record<string, unknown>;

/** Names of the special ids. A tokenizer of transformers has to call them something. */
const SPECIALS = [
  ['<boe>', BOE],
  ['<s>', BOS],
  ['</s>', EOS],
  ['<bpe>', BPE],
] as const;

/** Ids of special meaning. A short row is filled with the id that fills the window of the first hashes too. */
const SPECIAL_IDS = { bos_token_id: BOS, eos_token_id: EOS, pad_token_id: BOE } as const;

/**
 * The character that stands for a byte in the byte-level tokenizers of Hugging Face: the byte itself where it is a visible character of
 * Latin-1, and the next free one from U+0100 on elsewhere.
 * @see Radford et al. 2019, `bytes_to_unicode` of GPT-2's encoder.py
 * @returns [256] characters, by byte
 */
export function byteCharacters(): string[] {
  let free = 0x100;
  return Array.from({ length: 256 }, (_, byte) => {
    const visible = (byte > 0x20 && byte < 0x7f) || (byte > 0xa0 && byte !== 0xad);
    return String.fromCharCode(visible ? byte : free++);
  });
}

/** tokenizer.json: BOS, then every byte as the id byte + 4. There are no merges, so a byte stays a byte. */
function tokenizer(): Json {
  const start = { SpecialToken: { id: '<s>', type_id: 0 } };
  const [a, b] = ['A', 'B'].map((id) => ({ Sequence: { id, type_id: 0 } }));
  const bytes = { type: 'ByteLevel', add_prefix_space: false, trim_offsets: false, use_regex: false };
  return {
    version: '1.0',
    truncation: null,
    padding: null,
    added_tokens: SPECIALS.map(([content, id]) => ({
      ...{ id, content, single_word: false, lstrip: false, rstrip: false, normalized: false, special: true },
    })),
    normalizer: null,
    pre_tokenizer: {
      type: 'Sequence',
      pretokenizers: [
        // Short pieces, because the time that the tokenizer takes for a piece grows faster than its length. The ids stay the same.
        { type: 'Split', pattern: { Regex: '[\\s\\S]{1,64}' }, behavior: 'Isolated', invert: false },
        bytes,
      ],
    },
    post_processor: {
      type: 'TemplateProcessing',
      single: [start, a],
      pair: [start, a, start, b],
      special_tokens: { '<s>': { id: '<s>', ids: [BOS], tokens: ['<s>'] } },
    },
    decoder: bytes,
    model: {
      ...{ type: 'BPE', dropout: null, unk_token: null, continuing_subword_prefix: null, end_of_word_suffix: null },
      ...{ fuse_unk: false, byte_fallback: false, ignore_merges: false },
      vocab: Object.fromEntries([
        ...SPECIALS,
        ...byteCharacters().map((character, byte) => [character, byte + BYTE_OFFSET]),
      ]),
      merges: [],
    },
  };
}

/**
 * config.json for transformers: that of the model, with the special ids. `use_cache` is false because the cache of transformers gives a
 * BLT other logits.
 */
export const transformersConfig = (config: BltConfig): Json => ({
  ...configToHuggingFace(config),
  ...SPECIAL_IDS,
  use_cache: false,
});

/**
 * The other files for transformers, by name. Text is always bytes: `</s>` in a text is four bytes, never the end of the document.
 * Generation has the defaults of `generate`: temperature 0.8, no special id but the end of the document.
 */
export const transformersFiles = (config: BltConfig): Record<string, Json> => ({
  'tokenizer.json': tokenizer(),
  'tokenizer_config.json': {
    tokenizer_class: 'PreTrainedTokenizerFast',
    ...{ bos_token: '<s>', eos_token: '</s>', pad_token: '<boe>' },
    split_special_tokens: true,
    clean_up_tokenization_spaces: false,
    padding_side: 'left',
    model_max_length: longestText(config),
  },
  'generation_config.json': {
    ...SPECIAL_IDS,
    ...{ do_sample: true, temperature: 0.8, top_k: 0, max_new_tokens: 200 },
    suppress_tokens: [BOE, BOS, BPE],
    use_cache: false,
  },
});
