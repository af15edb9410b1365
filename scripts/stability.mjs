// How far an export can be relied on, from scripts/stability.json. As a plugin of TypeDoc (`npm run docs:api`) it writes the mark to the
// documentation of each export.
import { readFileSync } from 'node:fs';
import { join, relative, sep } from 'node:path';
import { root } from './workspace.mjs';

/** `marks` and their meaning, the mark of each file by its longest prefix in `files`, and that of single `names`, which comes first. */
export const table = JSON.parse(readFileSync(join(root, 'scripts/stability.json'), 'utf8'));

/** The mark of an export. @param file its source, from the root, with slashes   @throws Error for a file of no package */
export function stabilityOf(name, file) {
  if (Object.hasOwn(table.names, name)) return table.names[name];
  const prefixes = Object.keys(table.files).filter((prefix) => `${file}/`.startsWith(`${prefix}/`));
  if (prefixes.length === 0) throw new Error(`${name} of ${file} has no mark in scripts/stability.json`);
  return table.files[prefixes.reduce((longest, prefix) => (prefix.length > longest.length ? prefix : longest))];
}

/** The plugin. TypeDoc calls it with its application. */
export async function load(app) {
  const { CommentTag, Converter, ReflectionKind } = await import('typedoc');
  const mark = (item) => {
    // The functions of a namespace such as `composed`.
    item.children?.filter((child) => item.kindOf(ReflectionKind.Namespace) && !child.isReference()).forEach(mark);
    const [source] = item.sources ?? [];
    // Names that another entry exports already are references to it.
    if (source === undefined || item.isReference()) return;
    const name = stabilityOf(item.name, relative(root, source.fullFileName).split(sep).join('/'));
    const words = [{ kind: 'text', text: `**${name}**. ${table.marks[name]}` }];
    const shown = [item, ...(item.signatures ?? []), ...(item.type?.declaration?.signatures ?? [])];
    const comments = shown.flatMap(({ comment }) => comment ?? []);
    // TypeDoc itself asks only for the comments of some kinds.
    if (comments.length === 0) app.logger.error(`${item.getFullName()} has no docstring`);
    for (const comment of comments) comment.blockTags.push(new CommentTag('@stability', words));
  };
  app.converter.on(Converter.EVENT_RESOLVE_BEGIN, ({ project }) => {
    for (const entry of project.children ?? []) entry.children?.forEach(mark);
  });
}
