// For every kernel of the contract, the text of its definition in plain TypeScript and of the code that runs it on each backend:
// the declaration itself and the ones it needs of its own file and of files beside that.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import ts from 'typescript';

/** The chapters of packages/tensor/src/contract.ts, in its order: each is a file of that name on every floor. */
const CHAPTERS = [
  'elementwise',
  'reduce',
  'shape',
  'axis',
  'matmul',
  'rows',
  'softmax',
  'norm',
  'rope',
  'attention',
  'optimizer',
];

const parsed = new Map();

/** The top-level declarations of a file: name -> node, and the file for cutting text out. */
function parse(path) {
  if (!parsed.has(path)) parsed.set(path, read(path));
  return parsed.get(path);
}

function read(path) {
  const text = readFileSync(path, 'utf8');
  const file = ts.createSourceFile(path, text, ts.ScriptTarget.Latest, true);
  const declarations = new Map();
  /** Names from files of the same folder -> those files. */
  const imports = new Map();
  for (const statement of file.statements) {
    const from = ts.isImportDeclaration(statement) && statement.moduleSpecifier.text;
    if (from && /^\.\/[\w-]+\.ts$/.test(from)) {
      for (const { name } of statement.importClause.namedBindings?.elements ?? []) {
        imports.set(name.text, join(dirname(path), from));
      }
    }
    if (ts.isVariableStatement(statement)) {
      for (const { name } of statement.declarationList.declarations) {
        if (ts.isIdentifier(name)) declarations.set(name.text, statement);
      }
    } else if (statement.name && !ts.isInterfaceDeclaration(statement) && !ts.isTypeAliasDeclaration(statement)) {
      declarations.set(statement.name.text, statement);
    }
  }
  return { path, text, file, declarations, imports };
}

const folder = (path) =>
  existsSync(path)
    ? readdirSync(path)
        .filter((name) => name.endsWith('.ts'))
        .map((name) => parse(join(path, name)))
    : [];

/** Text of a node with the comment above it. */
function textOf({ text }, node) {
  const comments = ts.getLeadingCommentRanges(text, node.getFullStart()) ?? [];
  // Only a comment that touches the node is about it; the one of the file is not.
  const last = comments.at(-1);
  const near =
    last && !/\n\s*\n/.test(text.slice(last.end, node.getStart())) && !text.slice(last.pos, last.end).includes('@file');
  return text.slice(near ? last.pos : node.getStart(), node.end);
}

/**
 * Declarations that a node mentions, and those that they mention: those of its file in the order of the file, then those of files
 * beside it.
 */
function needs(source, node) {
  const found = new Map();
  const visitIn = (home) => {
    const visit = (part) => {
      if (ts.isIdentifier(part)) {
        const from = home.declarations.has(part.text) ? home.path : home.imports.get(part.text);
        const other = from && parse(from);
        const declaration = other?.declarations.get(part.text);
        if (declaration && declaration !== node && !found.has(declaration)) {
          found.set(declaration, other);
          visitIn(other)(declaration);
        }
      }
      ts.forEachChild(part, visit);
    };
    return visit;
  };
  visitIn(source)(node);
  const order = ([a, from], [b, other]) => Number(from !== source) - Number(other !== source) || a.pos - b.pos;
  return [...found].sort(order).map(([declaration, from]) => ({ declaration, from }));
}

const heading = (root, { path }) => `// ${path.slice(root.length + 1)}`;

/** The file's name, a declaration, and what it needs: a list of texts, what it is about first. */
function excerpt(root, source, main) {
  const parts = needs(source, main)
    .filter(({ declaration }) => !(declaration.pos <= main.pos && main.end <= declaration.end))
    .map(({ declaration, from }) => textOf(from, declaration));
  // The remarks that keep TypeScript's checker quiet about AssemblyScript's decorators say nothing to a reader.
  return [heading(root, source), textOf(source, main), ...parts].map((text) =>
    text.replace(/^\s*\/\/ @ts-ignore: decorator\n/gm, ''),
  );
}

/** The entry `name` of the object literals at the top of a file: `name: ...`, `name,` or `name(...) {}`. */
function property(sources, name) {
  for (const source of sources) {
    for (const statement of new Set(source.declarations.values())) {
      if (!ts.isVariableStatement(statement)) continue;
      for (const { initializer } of statement.declarationList.declarations) {
        const object = initializer && ts.isSatisfiesExpression(initializer) ? initializer.expression : initializer;
        if (!object || !ts.isObjectLiteralExpression(object)) continue;
        const entry = object.properties.find((one) => one.name?.getText() === name);
        if (entry) return { source, entry };
      }
    }
  }
  return null;
}

function definitionOf(root, reference, name) {
  const found = property(
    reference.filter(({ path }) => !path.endsWith('kernels.ts')),
    name,
  );
  const direct = reference.find(({ declarations }) => declarations.has(name));
  if (found && !ts.isShorthandPropertyAssignment(found.entry)) return excerpt(root, found.source, found.entry);
  const source = found?.source ?? direct;
  return source?.declarations.has(name) ? excerpt(root, source, source.declarations.get(name)) : [];
}

/** The kernels of the assembly that a node calls (`kernels.name`), itself or through declarations of any of the files. */
function called(sources, node) {
  const names = new Set();
  const seen = new Set();
  const visit = (part) => {
    if (ts.isPropertyAccessExpression(part) && /\bkernels$/.test(part.expression.getText())) names.add(part.name.text);
    if (ts.isIdentifier(part)) {
      for (const { declarations } of sources) {
        const declaration = declarations.get(part.text);
        if (declaration && !seen.has(declaration)) {
          seen.add(declaration);
          visit(declaration);
        }
      }
    }
    ts.forEachChild(part, visit);
  };
  visit(node);
  return names;
}

function wasmOf(root, bindings, assembly, name) {
  const found = property(bindings, name);
  if (!found) return undefined;
  const declared = bindings.map(({ declarations }) => declarations.get(name)).find((one) => one !== undefined);
  const calls = called(bindings, ts.isShorthandPropertyAssignment(found.entry) ? declared : found.entry);
  const parts = [];
  for (const source of assembly) {
    for (const [exported, node] of source.declarations) {
      if (!calls.has(exported) || !ts.isFunctionDeclaration(node)) continue;
      for (const part of excerpt(root, source, node)) parts.push(part);
    }
  }
  return parts.length > 0 ? parts : undefined;
}

/** The kernels of gpu.js that an entry of the dispatch table uses, from whichever file declares them. */
function gpuOf(root, sources, programs, name) {
  const parts = [];
  const add = (wanted) => {
    for (const source of sources) {
      const node = source.declarations.get(wanted);
      for (const text of node ? excerpt(root, source, node) : []) if (!parts.includes(text)) parts.push(text);
    }
  };
  const found = property(programs, name);
  if (found) {
    const { source, entry } = found;
    const from = ts.isShorthandPropertyAssignment(entry) ? (source.declarations.get(name) ?? entry) : entry;
    const visit = (part) => {
      if (ts.isIdentifier(part)) add(part.text);
      ts.forEachChild(part, visit);
    };
    for (const one of [from, ...needs(source, from).map(({ declaration }) => declaration)]) visit(one);
  }
  if (parts.length === 0) add(name);
  return parts.length > 0 ? parts : undefined;
}

/** The first sentence of the contract's comment on a kernel. */
function formulaOf(contract, name) {
  const { source, entry } = property(contract, name);
  const comment = (ts.getLeadingCommentRanges(source.text, entry.getFullStart()) ?? []).at(-1);
  if (!comment) return '';
  const words = source.text
    .slice(comment.pos, comment.end)
    .replace(/^\/\*\*|\*\/$/g, '')
    .replace(/^\s*\*/gm, '')
    .replace(/\s+/g, ' ')
    .trim();
  return words.split(/(?<=[a-z)\]])\. /)[0].replace(/\.$/, '');
}

/**
 * Kernels share much of their code, so each declaration is there once and kernels list theirs by number.
 * @returns {{ texts: string[], kernels: Record<string, { formula: string, definition: number[], wasm?: number[], gpu?: number[] }> }}
 */
export function kernelTexts(root) {
  const tensor = join(root, 'packages/tensor/src');
  const contract = CHAPTERS.map((chapter) => parse(join(tensor, 'contract', `${chapter}.ts`)));
  const reference = folder(join(tensor, 'reference'));
  const bindings = folder(join(tensor, 'wasm/bindings'));
  const assembly = ['', 'matmul', 'attention'].flatMap((name) => folder(join(tensor, 'wasm/assembly', name)));
  const gpuKernels = folder(join(tensor, 'gpu/kernels'));
  const gpuPrograms = folder(join(tensor, 'gpu/programs'));
  const names = contract.flatMap(({ declarations }, i) =>
    declarations
      .get(CHAPTERS[i])
      .declarationList.declarations[0].initializer.expression.properties.map(({ name }) => name.getText()),
  );
  const texts = [];
  const number = (parts) =>
    parts?.map((text) => {
      if (!texts.includes(text)) texts.push(text);
      return texts.indexOf(text);
    });
  const kernels = {};
  for (const kernel of names) {
    kernels[kernel] = {
      formula: formulaOf(contract, kernel),
      definition: number(definitionOf(root, reference, kernel)),
      wasm: number(wasmOf(root, bindings, assembly, kernel)),
      gpu: number(gpuOf(root, gpuKernels, gpuPrograms, kernel)),
    };
  }
  return { texts, kernels };
}
