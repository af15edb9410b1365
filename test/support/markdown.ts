/** @file Links, headings and commands of Markdown files. */

/** The text without fenced code, so that `# comment` in a shell example is no heading. */
const withoutFences = (markdown: string): string => markdown.replace(/^(```|~~~)[\s\S]*?^\1.*$/gm, '');

/** Targets of all links and pictures. */
export function links(markdown: string): string[] {
  const text = withoutFences(markdown).replace(/`[^`\n]*`/g, '');
  return [...text.matchAll(/\]\(([^)\s]+)\)/g)].map(([, target]) => target);
}

/** Anchors of the headings, as GitHub makes them: lower case, no punctuation, a hyphen for a space, -1 for the second of a name. */
export function anchors(markdown: string): Set<string> {
  const seen = new Map<string, number>();
  const found = new Set<string>();
  for (const [, heading] of withoutFences(markdown).matchAll(/^#{1,6} +(.*?) *#*$/gm)) {
    const plain = heading.replace(/\[([^\]]*)\]\([^)]*\)/g, '$1').replace(/[`*]/g, '');
    const slug = plain
      .toLowerCase()
      .replace(/[^\p{L}\p{N}\p{M}_\- ]/gu, '')
      .replaceAll(' ', '-');
    const times = seen.get(slug) ?? 0;
    seen.set(slug, times + 1);
    found.add(times === 0 ? slug : `${slug}-${times}`);
  }
  return found;
}

/** Every piece of code: the lines of fenced blocks without comments, where a backslash at the end joins the next line, and inline. */
export function codes(markdown: string): string[] {
  const fenced = [...markdown.matchAll(/^(```|~~~).*\n([\s\S]*?)^\1/gm)].flatMap(([, , text]) =>
    text
      .replace(/\\\n\s*/g, ' ')
      .split('\n')
      .map((line) => line.replace(/(^|\s)#.*/, '')),
  );
  // In a table a bar is written \|.
  const inline = [...withoutFences(markdown).matchAll(/`([^`]+)`/g)].map(([, text]) =>
    text.replace(/\s*\n\s*/g, ' ').replaceAll('\\|', '|'),
  );
  return [...fenced, ...inline];
}

export interface Command {
  /** `pnpm bench`, `node scripts/` or `blt`. */
  readonly program: string;
  /** The words before the flags, such as a benchmark, a script or a subcommand. Empty if there are only flags. */
  readonly name: string;
  readonly flags: readonly string[];
  readonly text: string;
}

/** Calls of one program in a piece of code: its first word and its long flags, up to a comment or the next command of the line. */
export function commands(code: string, program: string): Command[] {
  const start = `(?<![\\w./-])${program.replaceAll(/[./]/g, '\\$&')}`;
  const gap = program.endsWith('/') ? '' : '[ ]+';
  return [...code.matchAll(new RegExp(`${start}${gap}(?=[a-z-])([^#;&>]*)`, 'g'))].map(([text, rest]) => {
    const [own] = rest.split(/ \| |(?<= )blt /);
    const name = /^[a-z][\w.-]*(?::[a-z]+)*/.exec(own)?.[0] ?? '';
    const flags = [...own.matchAll(/(?<![\w-])--[a-z][a-z-]*/g)].map(([flag]) => flag);
    return { program, name, flags, text };
  });
}
