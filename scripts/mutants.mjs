// The changes of mutate.mjs: one place of a source text at a time.

import { transformSync } from 'esbuild';

/** [pattern, replacement]: applied at every place it matches, one place at a time. */
const mutations = [
  // signs and operators
  [/ \+ /, ' - '],
  [/ - /, ' + '],
  [/ \* /, ' / '],
  [/ \/ /, ' * '],
  [/ \+= /, ' -= '],
  [/ \*= /, ' = '],
  [/(?<=[=(:?,[] ?)-(?=[a-zA-Z(])/, ''],
  // a factor, a term, an offset dropped
  [/ \* [\w.]+(\[[^\][]*\])?(?=[ ;,)\]])/, ''],
  [/ [+-] [\w.]+(\[[^\][]*\])?(?=[ ;,)\]])/, ''],
  [/\b(neg|unbroadcast|reshape|exp)\((?!\))/, '((t) => t)('],
  [/Math\.(fround|floor)\(/, '((t) => t)('],
  // comparisons and their edges
  // (one step too far along a whole array reads undefined and writes nothing: no mutant)
  [/ < (?!\w+\.data\.length)/, ' <= '],
  [/ > /, ' >= '],
  [/ >= /, ' > '],
  [/ <= /, ' < '],
  [/(?<!^\s*for \(.*) < /, ' >= '],
  [/ === /, ' !== '],
  [/ !== /, ' === '],
  [/ && /, ' || '],
  [/ \|\| /, ' && '],
  // off by one
  [/(?<=[[ (])0(?=[\] ;,)])/, '1'],
  [/(?<=[[ (])1(?=[\] ;,)])/, '0'],
  [/(?<=[[ (])2(?=[\] ;,)])/, '1'],
  [/(?<=[ (-])(0\.5|-1)(?=[ ;,)])/, '1'],
  // flags
  [/\btrue\b/, 'false'],
  [/\bfalse\b/, 'true'],
  [/!(?=[a-zA-Z])/, ''],
  [/(?<=[( ,:])transposeA(?=[ ,)}])(?! =)/, 'false'],
  [/(?<=[( ,:!])transposeB(?=[ ,)}])(?! =)/, 'false'],
  // arguments swapped, another function
  // (the order of arguments does not matter to the commutative ones)
  [/(?<!\b(?:function \w+|add|mul|maximum|minimum|equal|max|min))(?<=\w)\((\w+), (\w+)(?=[,)])(?!\) =>)/, '($2, $1'],
  [/\badd\(/, 'sub('],
  [/\bsub\(/, 'add('],
  [/\bmul\(/, 'div('],
  [/\bdiv\(/, 'mul('],
  [/\bsin\b(?=[(.])/, 'cos'],
  [/\bcos\b(?=[(.])/, 'sin'],
  [/\bgreater\(/, 'equal('],
  [/\bequal\(/, 'greater('],
  [/Math\.max/, 'Math.min'],
  [/Math\.min/, 'Math.max'],
  [/NEGATIVE_INFINITY/, 'POSITIVE_INFINITY'],
  // statements
  [/^\s*[\w.]+\.fill\(0\);/, ';'],
  [/\bcontinue;/, ';'],
  [/^\s*await (?!Promise)[\w.]+\(.*\);$/, ';'],
  [/^\s*(return|break);$/, ';'],
  // what is not there
  [/\?\./, '.'],
  [/ \?\? [^,;)]+(?=[,;)])/, ''],
];

/** Comments and strings blanked, so that patterns do not match in them; positions stay. */
const blanked = (line) =>
  line.replace(/\/\/.*$|'[^']*'|`[^`]*`|\/\*.*?\*\//g, (text) => ' '.repeat(text.length).replace(/^ | $/g, '"'));

/** Every mutant of a source text that still parses: its line before and after, and the whole text. */
export function mutantsOf(text) {
  const lines = text.split('\n');
  const original = javascript(text);
  const found = [];
  let comment = false;
  let imports = false;
  lines.forEach((line, number) => {
    if (/^\s*\/\*/.test(line)) comment = true;
    if (/^import\b/.test(line)) imports = true;
    const skip = comment || imports || /^\s*(\/\/|\*|export (interface|type)|interface|type) /.test(line);
    if (/\*\//.test(line)) comment = false;
    if (imports && /;\s*$/.test(line)) imports = false;
    // Signals are for real: a mutant must not send one.
    if (skip || /throw new|Error\(|process\.kill/.test(line)) return;
    const code = blanked(line);
    for (const [pattern, replacement] of mutations) {
      for (const match of code.matchAll(new RegExp(pattern, 'g'))) {
        const changed = replaceAt(line, code, match, pattern, replacement);
        if (changed === line) continue;
        const mutated = [...lines.slice(0, number), changed, ...lines.slice(number + 1)].join('\n');
        if (found.some((m) => m.text === mutated)) continue;
        const compiled = javascript(mutated);
        // What changes a type alone is no mutant.
        if (compiled === null || compiled === original) continue;
        found.push({ line: number + 1, before: line.trim(), after: changed.trim(), text: mutated });
      }
    }
  });
  return found;
}

/** The line with the pattern replaced at one match only. */
function replaceAt(line, code, match, pattern, replacement) {
  let changed = line;
  code.replace(new RegExp(pattern, 'g'), (...args) => {
    const offset = args.findLast((a) => typeof a === 'number');
    if (offset !== match.index) return '';
    const text = replacement.replace(/\$(\d)/g, (_, group) => args[Number(group)]);
    changed = line.slice(0, offset) + text + line.slice(offset + match[0].length);
    return '';
  });
  return changed;
}

/** Without its types; null if it does not parse. */
function javascript(text) {
  try {
    return transformSync(text, { loader: 'ts' }).code;
  } catch {
    return null;
  }
}
