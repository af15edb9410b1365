/** @file The backend of those who name none, in bundles for the condition `blt-reference`: the definition, without any WebAssembly. */
import type { Backend } from '../backend.ts';
import { referenceBackend } from '../reference/backend.ts';

export const createDefaultBackend = (): Backend => referenceBackend;
