/** @file The second half of the op table: a row for every operation that is made of others. */
import { libraryElementwise } from './library-elementwise.ts';
import { libraryIndexing } from './library-indexing.ts';
import { libraryProducts } from './library-products.ts';
import { libraryReduce } from './library-reduce.ts';
import type { LibraryRow } from './library-row.ts';
import { libraryShape } from './library-shape.ts';
import { libraryWindows } from './library-windows.ts';

/** Rows by the name of the operation; behind a comma stands which of its forms is meant. */
export const libraryTable: Readonly<Record<string, LibraryRow<never>>> = {
  ...libraryElementwise,
  ...libraryReduce,
  ...libraryShape,
  ...libraryIndexing,
  ...libraryProducts,
  ...libraryWindows,
};

/** The names of all operations of the library in the table. */
export const libraryNames: readonly string[] = Object.keys(libraryTable);
