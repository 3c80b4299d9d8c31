/** What the worker loads after its first prompt: the programs that no boot runs. */
export { PROGRAMS } from '../engine/userland/table.ts';
