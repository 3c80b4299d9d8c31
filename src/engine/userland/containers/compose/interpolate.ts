/**
 * ${NAME} in compose files: :- - :? ? :+ + with nested words, $$ for a dollar. Source: compose-go template/template.go.
 */
import { type Any, BAD_FILE, ComposeError, type Dict, isDict } from './document.ts';

export interface Variables {
  values: Readonly<Record<string, string>>;
  /** Names that were asked for and are not set, as often as they were. */
  missing: string[];
}

const NAME = /^[_a-zA-Z][_a-zA-Z0-9]*/;

/** All text of a file; `path` names where it stands. Throws ComposeError. */
export function interpolate(value: Any, variables: Variables, path = ''): Any {
  if (typeof value === 'string') return value.includes('$') ? filled(value, variables, path) : value;
  if (Array.isArray(value)) return value.map((v) => interpolate(v, variables, `${path}.[]`));
  if (!isDict(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([k, v]): [string, Any] => [k, interpolate(v, variables, path === '' ? k : `${path}.${k}`)])) as Dict;
}

class Malformed extends Error {}

function filled(source: string, variables: Variables, path: string): string {
  try {
    return substitute(source, variables, 0);
  } catch (error) {
    if (error instanceof Malformed) throw new ComposeError(`invalid interpolation format for ${path}.\nYou may need to escape any $ with another $.\n${source}`, BAD_FILE);
    if (error instanceof ComposeError) throw new ComposeError(`error while interpolating ${path}: ${error.message}`, BAD_FILE);
    throw error;
  }
}

function substitute(source: string, variables: Variables, depth: number): string {
  if (depth > 20) throw new Malformed();
  let out = '';
  for (let i = 0; i < source.length; i++) {
    if (source[i] !== '$') {
      out += source[i];
      continue;
    }
    const next = source[i + 1];
    if (next === '$') {
      out += '$';
      i++;
    } else if (next === '{') {
      const end = closing(source, i + 2);
      out += braced(source.slice(i + 2, end), variables, depth);
      i = end;
    } else {
      const name = NAME.exec(source.slice(i + 1))?.[0];
      if (name === undefined) throw new Malformed();
      out += lookup(name, variables);
      i += name.length;
    }
  }
  return out;
}

/** Index of the brace that ends one opened before `from`. */
function closing(source: string, from: number): number {
  let open = 1;
  for (let i = from; i < source.length; i++) {
    if (source[i] === '$' && source[i + 1] === '{') open++;
    else if (source[i] === '}' && --open === 0) return i;
  }
  throw new Malformed();
}

function lookup(name: string, variables: Variables): string {
  if (Object.hasOwn(variables.values, name)) return variables.values[name]!;
  variables.missing.push(name);
  return '';
}

function braced(inside: string, variables: Variables, depth: number): string {
  const name = NAME.exec(inside)?.[0];
  if (name === undefined) throw new Malformed();
  const rest = inside.slice(name.length);
  if (rest === '') return lookup(name, variables);
  const m = /^(:?[-?+])([\s\S]*)$/.exec(rest);
  if (!m) throw new Malformed();
  const value = Object.hasOwn(variables.values, name) ? variables.values[name]! : undefined;
  const given = m[1]!.startsWith(':') ? value !== undefined && value !== '' : value !== undefined;
  const word = (): string => substitute(m[2]!, variables, depth + 1);
  if (m[1]!.endsWith('-')) return given ? value! : word();
  if (m[1]!.endsWith('+')) return given ? word() : '';
  if (given) return value!;
  const why = word();
  throw new ComposeError(`required variable ${name} is missing a value${why === '' ? '' : `: ${why}`}`, BAD_FILE);
}

export interface Variable {
  required: boolean;
  fallback: string;
  alternate: string;
}

/** The variables that stand in a model's texts, nested ones too. */
export function variablesOf(value: Any, found = new Map<string, Variable>()): Map<string, Variable> {
  if (Array.isArray(value)) for (const v of value) variablesOf(v, found);
  else if (isDict(value)) for (const v of Object.values(value)) variablesOf(v, found);
  else if (typeof value === 'string') scan(value, found);
  return found;
}

function scan(source: string, found: Map<string, Variable>): void {
  for (let i = 0; i < source.length; i++) {
    if (source[i] !== '$') continue;
    if (source[i + 1] === '$') i++;
    else if (source[i + 1] === '{') {
      const end = closing(source, i + 2);
      const m = /^([_a-zA-Z][_a-zA-Z0-9]*)(?:(:?[-?+])([\s\S]*))?$/.exec(source.slice(i + 2, end));
      if (m) {
        found.set(m[1]!, { required: m[2]?.endsWith('?') === true, fallback: m[2]?.endsWith('-') ? m[3]! : '', alternate: m[2]?.endsWith('+') ? m[3]! : '' });
        if (m[3]) scan(m[3], found);
      }
      i = end;
    } else {
      const name = NAME.exec(source.slice(i + 1))?.[0];
      if (name !== undefined && !found.has(name)) found.set(name, { required: false, fallback: '', alternate: '' });
    }
  }
}

/** A file of NAME=value lines with quotes, comments, export and references to names before. Source: compose-go dotenv. */
export function readEnvFile(source: string, known: Readonly<Record<string, string>>, file: string): Record<string, string> {
  const out: Record<string, string> = {};
  const lines = source.replace(/^\uFEFF/, '').replace(/\r\n?/g, '\n').split('\n');
  for (let i = 0; i < lines.length; i++) {
    const line = lines[i]!.trim();
    if (line === '' || line.startsWith('#')) continue;
    const m = /^(?:export\s+)?([A-Za-z_][\w.-]*)\s*(?:[=:]\s*(.*))?$/.exec(line);
    if (!m && /^(?:export\s+)?[\w.-]+\s+\S/.test(line)) throw new ComposeError(`failed to read ${file}: line ${i + 1}: key cannot contain a space`, BAD_FILE);
    if (!m) throw new ComposeError(`failed to read ${file}: line ${i + 1}: unexpected character ${JSON.stringify(/[^\w.\s-]/.exec(line)?.[0] ?? line[0])} in variable name ${JSON.stringify(line)}`, BAD_FILE);
    const name = m[1]!;
    let value = m[2];
    if (value === undefined) {
      if (Object.hasOwn(known, name)) out[name] = known[name]!;
      continue;
    }
    const quote = value[0];
    if (quote === '"' || quote === "'") {
      while (!ends(value, quote) && i + 1 < lines.length) value += `\n${lines[++i]!}`;
      if (!ends(value, quote)) throw new ComposeError(`failed to read ${file}: line ${i + 1}: unterminated quoted value ${value.trimEnd()}`, BAD_FILE);
      value = value.slice(1, value.indexOf(quote, 1) < 0 ? undefined : lastOf(value, quote));
      if (quote === "'") {
        out[name] = value;
        continue;
      }
      value = value.replace(/\\([nrt"\\$])/g, (whole, c: string) => ({ n: '\n', r: '\r', t: '\t', '"': '"', '\\': '\\', $: '$$' })[c] ?? whole);
    } else value = value.replace(/\s+#.*$/, '').trimEnd();
    out[name] = filled(value, { values: { ...known, ...out }, missing: [] }, name);
  }
  return out;
}

const lastOf = (value: string, quote: string): number => {
  for (let i = 1; i < value.length; i++) if (value[i] === quote && value[i - 1] !== '\\') return i;
  return -1;
};
const ends = (value: string, quote: string): boolean => lastOf(value, quote) > 0;
