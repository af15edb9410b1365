/**
 * @file Texts that teach what words are made of: spelling, and the tasks of CUTE (Edman et al. 2024, arXiv 2409.15452) in the fewest
 * words. Prompt and answer meet before a space, where the tokenizer cuts too.
 */
import { Random } from '@blt-ts/tensor';
import type { StudyDocument } from './chunks.ts';
import type { Item } from './scoring.ts';

/** An item about a word. */
export interface WordItem extends Item {
  /** The word with the space before it, as running text has it. */
  readonly word: Uint8Array;
}

/** Items that are never trained on. */
export interface TaskTest {
  readonly task: string;
  readonly items: readonly WordItem[];
}

const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text);
const spaced = (letters: readonly string[]): string => letters.join(' ');
const LETTERS = 'abcdefghijklmnopqrstuvwxyz';

/** Question and answer about a word. */
type Task = (letters: readonly string[], random: Random) => readonly [prompt: string, answer: string];

const some = (letters: readonly string[], random: Random): string => letters[random.integer(letters.length)];
const any = (random: Random): string => some([...LETTERS], random);

/** The tasks by name. Letters that a task is about are in the word, but for `has`, where half of them are by chance. */
export const TASKS: Readonly<Record<string, Task>> = {
  spell: (w) => [`spell ${w.join('')}:`, spaced(w)],
  join: (w) => [`join ${spaced(w)}:`, w.join('')],
  has(w, random) {
    const letter = random.integer(2) === 0 ? some(w, random) : any(random);
    return [`has ${letter} ${w.join('')}:`, w.includes(letter) ? 'yes' : 'no'];
  },
  count(w, random) {
    const letter = some(w, random);
    return [`count ${letter} ${w.join('')}:`, String(w.filter((one) => one === letter).length)];
  },
  add(w, random) {
    const [after, letter] = [some(w, random), any(random)];
    return [`add ${letter} after ${after} ${w.join('')}:`, w.map((x) => (x === after ? x + letter : x)).join('')];
  },
  drop(w, random) {
    const letter = some(w, random);
    return [`drop ${letter} ${w.join('')}:`, w.filter((x) => x !== letter).join('')];
  },
  change(w, random) {
    const [from, to] = [some(w, random), any(random)];
    return [`change ${from} to ${to} ${w.join('')}:`, w.map((x) => (x === from ? to : x)).join('')];
  },
  swap(w, random) {
    const [a, b] = [some(w, random), some(w, random)];
    return [`swap ${a} ${b} ${w.join('')}:`, w.map((x) => (x === a ? b : x === b ? a : x)).join('')];
  },
};

function itemOf(task: Task, word: string, random: Random): WordItem {
  const [prompt, answer] = task([...word], random);
  return { prompt: utf8(prompt), answer: utf8(` ${answer}\n`), word: utf8(` ${word}`) };
}

const lineOf = ({ prompt, answer }: Item): string => new TextDecoder().decode(Uint8Array.from([...prompt, ...answer]));

/** How a text about letters is made. */
export interface LettersOptions {
  /** Names of `TASKS`, in turn. */
  readonly tasks: readonly string[];
  /** Examples to learn from. */
  readonly examples: number;
  /** Words of each test. */
  readonly unseen: number;
  /** Words that are read often but are never spelt or asked about. */
  readonly readOnly: number;
  /** How often each of those is read. */
  readonly readings: number;
}

/** Lines in an order by chance, a hundred to a document. */
function documentsOf(lines: readonly string[], random: Random): StudyDocument[] {
  const shuffled = random.shuffle([...lines]);
  return Array.from({ length: Math.ceil(shuffled.length / 100) }, (_, i) => {
    const part = shuffled.slice(100 * i, 100 * (i + 1));
    return { name: String(i).padStart(6, '0'), bytes: utf8(part.join('')), complete: true };
  });
}

/**
 * A text about letters, and its tests. Words of a test never stand in the text, but for those of the tests `... (read)`, which stand there
 * in lines such as `say whale`: a tokenizer makes tokens of them, whose letters nobody told the model. Examples are repeated until they are
 * as many as those lines, because a text of readings alone would leave nothing to learn from few examples.
 * @param words different words; the order does not matter
 */
export function lettersText(
  words: readonly string[],
  o: LettersOptions,
): { train: StudyDocument[]; tests: TaskTest[] } {
  const random = new Random(0).fork('letters');
  const shuffled = random.shuffle(words.filter((word) => word !== 'strawberry').sort());
  const [unseen, readOnly] = [shuffled.slice(0, o.unseen), shuffled.slice(o.unseen, o.unseen + o.readOnly)];
  const taught = shuffled.slice(o.unseen + o.readOnly);
  const examples = Array.from({ length: o.examples }, (_, i) =>
    lineOf(itemOf(TASKS[o.tasks[i % o.tasks.length]], taught[i % taught.length], random)),
  );
  const readings = readOnly.flatMap((word) => Array<string>(o.readings).fill(`say ${word}\n`));
  const copies = Math.max(1, Math.round(readings.length / Math.max(1, examples.length)));
  const lines = [...readings, ...Array<string[]>(copies).fill(examples).flat()];
  const tests = o.tasks.flatMap((task) => [
    { task, items: unseen.map((word) => itemOf(TASKS[task], word, random)) },
    { task: `${task} (read)`, items: readOnly.map((word) => itemOf(TASKS[task], word, random)) },
  ]);
  const strawberry = { prompt: utf8('count r strawberry:'), answer: utf8(' 3\n'), word: utf8(' strawberry') };
  const counts = o.tasks.includes('count') ? [{ task: "r's of strawberry", items: [strawberry] }] : [];
  return { train: documentsOf(lines, random), tests: [...tests, ...counts] };
}
