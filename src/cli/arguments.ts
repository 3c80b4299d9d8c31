/** Options of the headless tool, parsed by Node's own parser; every complaint is a Usage error (exit 64). */
import { parseArgs, type ParseArgsConfig } from 'node:util';
import { readFileSync } from 'node:fs';

export class Usage extends Error {}

export function options<T extends NonNullable<ParseArgsConfig['options']>>(
  args: string[],
  spec: T,
  positionals: { min: number; max: number; name: string },
) {
  try {
    const parsed = parseArgs({ args, options: spec, allowPositionals: true, strict: true });
    if (parsed.positionals.length < positionals.min) throw new Usage(`${positionals.name} is missing`);
    if (parsed.positionals.length > positionals.max) throw new Usage(`unexpected argument '${parsed.positionals[positionals.max]}'`);
    return parsed;
  } catch (error) {
    if (error instanceof Usage) throw error;
    throw new Usage(error instanceof Error ? error.message : String(error));
  }
}

/** A file's bytes, or a Usage error that names it. */
export function bytesOf(path: string): Uint8Array {
  try {
    return readFileSync(path);
  } catch (error) {
    throw new Usage(`${path}: ${(error as NodeJS.ErrnoException).code === 'ENOENT' ? 'no such file' : (error as Error).message}`);
  }
}

export const textOf = (path: string): string => new TextDecoder().decode(bytesOf(path));
