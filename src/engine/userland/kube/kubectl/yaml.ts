/**
 * YAML and JSON as kubectl writes them: go-yaml's style (keys sorted, lists not indented, ambiguous words in double quotes,
 * text of several lines as blocks) and Go's JSON (four spaces, <, > and & escaped).
 */
import { isObject, type Json } from '../../../cluster/types/objects.ts';

const AMBIGUOUS = /^(?:~|null|Null|NULL|y|Y|yes|Yes|YES|n|N|no|No|NO|true|True|TRUE|false|False|FALSE|on|On|ON|off|Off|OFF|<<|\.nan|\.NaN|\.NAN|[-+]?\.inf|[-+]?\.Inf|[-+]?\.INF)$/;
const NUMBER = /^[-+]?(?:0b[01_]+|0x[0-9a-fA-F_]+|0o?[0-7_]+|[0-9][0-9_]*|(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[0-9][0-9_]*(?::[0-5]?[0-9])+(?:\.[0-9_]*)?)$/;
const TIME = /^\d{4}-\d\d?-\d\d?(?:(?:[Tt]|[ \t]+)\d\d?:\d\d:\d\d(?:\.\d*)?(?:[ \t]*Z|[ \t]*[-+]\d\d?(?::?\d\d)?)?)?$/;

export function yamlScalar(text: string, indent: number): string {
  if (text.includes('\n')) {
    // biome-ignore lint/suspicious/noControlCharactersInRegex: such text cannot be a block
    if (/[\x00-\x08\x0b-\x1f\x7f]/.test(text) || /^[ \t\n]/.test(text)) return quoted(text);
    const pad = ' '.repeat(indent);
    const body = text.endsWith('\n') ? text.slice(0, -1) : text;
    const mark = !text.endsWith('\n') ? '|-' : /\n\n$/.test(text) ? '|+' : '|';
    return `${mark}\n${body.split('\n').map((l) => (l === '' ? '' : pad + l)).join('\n')}`;
  }
  if (text === '' || AMBIGUOUS.test(text) || NUMBER.test(text) || TIME.test(text)) return `"${text}"`;
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters need escapes
  if (/[\x00-\x1f\x7f]/.test(text)) return quoted(text);
  const special = /^[#,[\]{}&*!|>'"%@`]/.test(text) || /^[-?:](?:\s|$)/.test(text) || /:(?:\s|$)/.test(text) || /\s#/.test(text) || /^\s|\s$/.test(text) || /^(?:---|\.\.\.)/.test(text);
  return special ? `'${text.replace(/'/g, "''")}'` : text;
}

function quoted(text: string): string {
  const escapes: Record<string, string> = { '\n': '\\n', '\t': '\\t', '\r': '\\r', '"': '\\"', '\\': '\\\\', '\0': '\\0', '\x07': '\\a', '\b': '\\b', '\x1b': '\\e' };
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is escaped
  return `"${text.replace(/["\\\x00-\x1f\x7f]/g, (c) => escapes[c] ?? `\\x${c.charCodeAt(0).toString(16).padStart(2, '0')}`)}"`;
}

export function toYaml(value: Json): string {
  const out: string[] = [];
  node(value, 0, '', out);
  return `${out.join('\n')}\n`;
}

function node(value: Json, indent: number, lead: string, out: string[]): void {
  const pad = ' '.repeat(indent);
  if (isObject(value)) {
    const keys = Object.keys(value).filter((k) => value[k] !== undefined).sort();
    if (keys.length === 0) out.push(`${lead}{}`);
    for (const [i, key] of keys.entries()) {
      const head = `${i === 0 ? lead : pad}${yamlScalar(key, 0)}:`;
      entry(value[key], indent, head, out);
    }
  } else if (Array.isArray(value)) {
    if (value.length === 0) out.push(`${lead}[]`);
    for (const [i, one] of value.entries()) node(one, indent + 2, `${i === 0 ? lead : pad}- `, out);
  } else out.push(`${lead}${scalar(value, indent)}`);
}

function entry(value: Json, indent: number, head: string, out: string[]): void {
  if (isObject(value) && Object.keys(value).some((k) => value[k] !== undefined)) {
    out.push(head);
    node(value, indent + 2, ' '.repeat(indent + 2), out);
  } else if (Array.isArray(value) && value.length > 0) {
    out.push(head);
    node(value, indent, ' '.repeat(indent), out);
  } else if (isObject(value)) out.push(`${head} {}`);
  else if (Array.isArray(value)) out.push(`${head} []`);
  else out.push(`${head} ${scalar(value, indent + 2)}`);
}

function scalar(value: Json, indent: number): string {
  if (value === null || value === undefined) return 'null';
  return typeof value === 'string' ? yamlScalar(value, indent) : String(value);
}

/** Keys sorted, as Go's maps are written. */
export function sortKeys(value: Json): Json {
  if (Array.isArray(value)) return value.map(sortKeys);
  if (!isObject(value)) return value;
  return Object.fromEntries(Object.keys(value).sort().filter((k) => value[k] !== undefined).map((k) => [k, sortKeys(value[k])]));
}

export function toJson(value: Json, indent = 4): string {
  const text = indent > 0 ? JSON.stringify(sortKeys(value), null, indent) : JSON.stringify(sortKeys(value));
  return text.replace(/[<>&]/g, (c) => `\\u00${c.charCodeAt(0).toString(16)}`);
}
