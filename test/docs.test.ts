/** @file The documentation says nothing that is not there: its links, commands and figures are checked against the code. */
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import * as library from '@blt-ts/blt';
import { describe, expect, it } from 'vitest';
import { blt } from './support/command.ts';
import { anchors, type Command, codes, commands, links } from './support/markdown.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
const read = (path: string): string => readFileSync(join(root, path), 'utf8');
const script = (name: string) => import(pathToFileURL(join(root, 'scripts', name)).href);

const { proseFiles, measure, meets } = await script('prose.mjs');
const pages = (proseFiles() as string[]).map((path) => relative(root, path));

/** All calls of a program in the documentation. */
const calls = (program: string): (Command & { page: string })[] =>
  pages.flatMap((page) =>
    codes(read(page)).flatMap((code) => commands(code, program).map((call) => ({ page, ...call }))),
  );

describe('reading Markdown', () => {
  it('finds links, but not those in code', () => {
    const text = 'a [b](c.md#d) `[x](y)` ![p](q.svg)\n```\n[no](no)\n```\n';
    expect(links(text)).toEqual(['c.md#d', 'q.svg']);
  });

  it('makes the anchors that GitHub makes', () => {
    const text = "# `blt play`: the tab\n## V8's heap, 1.5 x\n## Same\n## Same\n```\n# no\n```\n";
    expect([...anchors(text)]).toEqual(['blt-play-the-tab', 'v8s-heap-15-x', 'same', 'same-1']);
  });

  it('finds commands with their flags', () => {
    const text =
      'run `A=1 blt train --lr 1 \\| head --lines 2`, or `.blt x` and `@blt-ts/blt`\n```\nblt eval \\\n  --data b # blt no --no\n```\n';
    expect(codes(text).flatMap((code) => commands(code, 'blt'))).toMatchObject([
      { name: 'eval', flags: ['--data'] },
      { name: 'train', flags: ['--lr'] },
    ]);
    expect(commands('node scripts/fuzz.mjs 1 --guided', 'node scripts/')).toMatchObject([
      { name: 'fuzz.mjs', flags: ['--guided'] },
    ]);
  });
});

describe('documentation', () => {
  it('lists the options of blt train as the code has them', async () => {
    const { currentPage } = await script('options-page.mjs');
    expect(read('docs/options.md')).toBe(await currentPage());
  });

  it.each(pages)('%s links to files and headings that are there', (page) => {
    const broken = links(read(page))
      .filter((target) => !/^[a-z]+:/.test(target))
      .filter((target) => {
        const [path, anchor] = target.split('#');
        const file = path === '' ? join(root, page) : resolve(root, dirname(page), decodeURI(path));
        if (!existsSync(file)) return true;
        if (anchor === undefined) return false;
        if (!file.endsWith('.md')) return statSync(file).isDirectory() || !/^L\d+$/.test(anchor);
        return !anchors(readFileSync(file, 'utf8')).has(anchor);
      });
    expect(broken).toEqual([]);
  });

  it('names benchmarks that exist, with flags that their files document', () => {
    // Their meaning stands in bench/support/configurations.ts, and --node is of scripts/bench.mjs.
    const shared = ['--hash-vocab', '--rows', '--row-bytes', '--node', '--json'];
    const named = calls('pnpm bench').filter(({ name }) => name !== '');
    expect(named.length).toBeGreaterThan(20);
    const wrong = named.flatMap(({ page, text, flags }) =>
      // `pnpm bench matmul|train` names two.
      text
        .replace('pnpm bench', '')
        .trim()
        .split(/[\s[]/)[0]
        .split('|')
        .flatMap((name) => {
          const path = `bench/${name}.ts`;
          if (!existsSync(join(root, path))) return [`${page}: ${text}: there is no benchmark ${name}`];
          const comment = /@file[\s\S]*?\*\//.exec(read(path))?.[0] ?? '';
          const unknown = flags.filter((flag) => !shared.includes(flag) && !comment.includes(flag));
          return unknown.map((flag) => `${page}: ${text}: ${name} has no ${flag}`);
        }),
    );
    expect(wrong).toEqual([]);
  });

  it('names subcommands of blt that exist, with flags that they have', () => {
    const help = new Map<string, string>();
    const helpOf = (name: string): string => {
      if (!help.has(name)) {
        const { code, stdout } = blt(root, name === '' ? ['--help'] : [name, '--help']);
        help.set(name, code === 0 ? stdout : '');
      }
      return help.get(name)!;
    };
    const subcommands = [...helpOf('').matchAll(/^ {2}([a-z]+) \[/gm)].map(([, name]) => name);
    const named = calls('blt').filter(({ text }) => !text.startsWith('blt: '));
    expect(named.length).toBeGreaterThan(40);
    const wrong = named.flatMap(({ page, name, flags, text }) => {
      if (name !== '' && !subcommands.includes(name)) return [`${page}: ${text}: blt has no ${name}`];
      const known = new Set(helpOf(name).match(/--[a-z][a-z-]*/g));
      return flags.filter((flag) => !known.has(flag)).map((flag) => `${page}: ${text}: no ${flag}`);
    });
    expect(wrong).toEqual([]);
  });

  it('names scripts that exist, with flags that they read', () => {
    const named = calls('node scripts/');
    expect(named.length).toBeGreaterThan(5);
    const wrong = named.flatMap(({ page, name, flags, text }) => {
      if (!existsSync(join(root, 'scripts', name))) return [`${page}: ${text}: there is no scripts/${name}`];
      const source = read(`scripts/${name}`);
      // The flags of a quoted list are for another program.
      const own = flags.filter((flag) => !/='[^']*$/.test(text.slice(0, text.indexOf(flag))));
      return own
        .filter((flag) => !source.includes(flag) && !source.includes(`${flag.slice(2)}: {`))
        .map((flag) => `${page}: ${text}: no ${flag}`);
    });
    expect(wrong).toEqual([]);
  });

  it('names scripts of package.json and tests that exist', () => {
    const { scripts } = JSON.parse(read('package.json')) as { scripts: Record<string, string> };
    const run = [...calls('npm run'), ...calls('pnpm run')];
    expect(run.filter(({ name }) => !Object.hasOwn(scripts, name)).map(({ page, text }) => `${page}: ${text}`)).toEqual(
      [],
    );
    const paths = calls('npx vitest').flatMap(({ page, text }) =>
      [...text.matchAll(/ (test\/[\w./-]+)/g)].map(([, path]) => ({ page, path })),
    );
    expect(paths.length).toBeGreaterThan(10);
    expect(paths.filter(({ path }) => !existsSync(join(root, path)))).toEqual([]);
  });

  it('names environment variables that the code reads', () => {
    const folders = ['packages', 'test', 'scripts', 'bench'];
    const sources = folders
      .flatMap((folder) =>
        readdirSync(join(root, folder), { recursive: true })
          .map((path) => join(folder, String(path)))
          .filter((path) => /\.(ts|mjs)$/.test(path) && !/node_modules|dist\/|generated|docs\.test/.test(path)),
      )
      .map(read)
      .join('\n');
    const named = new Set(pages.flatMap((page) => read(page).match(/\bBLT_[A-Z_]+\b/g) ?? []));
    expect([...named].filter((name) => !sources.includes(name))).toEqual([]);
  });

  it('quotes the figures of docs/study/results.json: node scripts/study-pages.mjs', async () => {
    const { currentPages } = await script('study-pages.mjs');
    for (const [path, text] of Object.entries(await currentPages())) expect(read(path)).toBe(text);
  });

  it('has the figures that scripts/figures.mjs draws', async () => {
    const { drawAll } = await script('figures.mjs');
    const drawn = drawAll(library) as Record<string, string>;
    expect(Object.keys(drawn).length).toBeGreaterThan(2);
    const differ = Object.keys(drawn).filter((name) => read(`docs/figures/${name}`) !== drawn[name]);
    expect(differ, 'draw them again: node scripts/figures.mjs').toEqual([]);
    expect(readdirSync(join(root, 'docs', 'figures')).sort()).toEqual(
      [...Object.keys(drawn), 'spirals.svg', 'ladder.svg'].sort(), // an example and study-pages.mjs draw these
    );
  });

  it('is written in short sentences: node scripts/prose.mjs --all', () => {
    const long = (proseFiles() as string[])
      .map((file) => ({ file: relative(root, file), ...measure(readFileSync(file, 'utf8')) }))
      .filter((figures) => !meets(figures));
    expect(long).toEqual([]);
  });
});
