/** systemd-escape: strings as parts of unit names, and back. Source: systemd-escape(1), src/basic/unit-name.c. */
import type { Program } from '../../kernel/sys.ts';
import { bytes, text } from '../../sim/text.ts';
import { lastValue, parseOptions } from '../lib/args.ts';
import { command, Failed, print } from '../lib/io.ts';
import { unprefixed } from './messages.ts';

const KINDS = new Set(['service', 'slice', 'scope', 'target', 'socket', 'mount', 'timer', 'path', 'swap', 'device', 'automount']);

export function escapeName(name: string): string {
  return [...bytes(name)].map((b, i) => {
    const c = String.fromCharCode(b);
    return c === '/' ? '-' : /[A-Za-z0-9:_.]/.test(c) && !(i === 0 && c === '.') ? c : `\\x${b.toString(16).padStart(2, '0')}`;
  }).join('');
}

export function unescapeName(name: string): string | null {
  const out: number[] = [];
  for (let i = 0; i < name.length; i++) {
    const c = name[i]!;
    if (c === '-') out.push(0x2f);
    else if (c !== '\\') out.push(...bytes(c));
    else {
      const m = /^\\x([0-9a-fA-F]{2})/.exec(name.slice(i));
      if (!m) return null;
      out.push(Number.parseInt(m[1]!, 16));
      i += 3;
    }
  }
  return text(new Uint8Array(out));
}

/** A path without doubled, leading and trailing slashes; null when it goes up. */
function simplified(path: string): string | null {
  const parts = path.split('/').filter((one) => one !== '' && one !== '.');
  return parts.includes('..') ? null : parts.join('/');
}

export function escapePath(path: string): string | null {
  const plain = simplified(path);
  return plain === null ? null : plain === '' ? '-' : escapeName(plain);
}

const valid = (name: string): boolean => /^[A-Za-z0-9:_.\\@-]+\.[a-z]+$/.test(name) && KINDS.has(name.slice(name.lastIndexOf('.') + 1));

export const systemdEscape: Program = command(unprefixed(function* (argv) {
  const o = parseOptions('h/help version suffix= template= instance u/unescape m/mangle p/path', argv.slice(1));
  const [suffix, template] = [lastValue(o, 'suffix'), lastValue(o, 'template')];
  if (suffix !== undefined && !KINDS.has(suffix)) throw new Failed(`Invalid unit suffix type "${suffix}".`);
  if (template !== undefined && !/^[^@]+@\.[a-z]+$/.test(template)) throw new Failed(`Template name ${template} is not valid.`);
  if (o.words.length === 0) throw new Failed('Not enough arguments.');
  if (template !== undefined && suffix !== undefined) throw new Failed('--suffix= and --template= may not be combined.');
  if ((template !== undefined || suffix !== undefined) && o.on.has('mangle')) throw new Failed('--suffix= and --template= are not compatible with --mangle.');
  if (suffix !== undefined && o.on.has('unescape')) throw new Failed('--suffix is not compatible with --unescape.');
  if (o.on.has('path') && o.on.has('mangle')) throw new Failed('--path may not be combined with --mangle.');
  const out: string[] = [];
  for (const word of o.words) out.push(one(word, o.on, suffix, template));
  yield* print(`${out.join(' ')}\n`);
}));

function one(word: string, on: ReadonlyMap<string, number>, suffix: string | undefined, template: string | undefined): string {
  if (on.has('unescape')) return unescaped(word, on, template);
  if (on.has('mangle')) {
    const name = [...word].map((c) => (/[A-Za-z0-9:_.\\@-]/.test(c) ? c : c === '/' ? '-' : escapeName(c))).join('');
    if (word.startsWith('/')) return word.startsWith('/dev/') ? `${escapePath(word)}.device` : `${escapePath(word)}.mount`;
    return /\.[a-z]+$/.test(name) && KINDS.has(name.slice(name.lastIndexOf('.') + 1)) ? name : `${name}.service`;
  }
  const escaped = on.has('path') ? escapePath(word) : escapeName(word);
  if (escaped === null) throw new Failed(`Input '${word}' is not a valid file system path, failed to escape.`);
  return template !== undefined ? template.replace('@.', `@${escaped}.`) : suffix !== undefined ? `${escaped}.${suffix}` : escaped;
}

function unescaped(word: string, on: ReadonlyMap<string, number>, template: string | undefined): string {
  let name = word;
  if (template !== undefined || on.has('instance')) {
    if (!valid(word)) throw new Failed(`Unit name ${word} is not valid.`);
    const m = /^([^@]+)@(.+)\.([a-z]+)$/.exec(word);
    if (!m) throw new Failed(`Unit name ${word} is missing the instance name.`);
    if (template !== undefined && `${m[1]}@.${m[3]}` !== template) throw new Failed(`Unit ${word} template ${m[1]}@.${m[3]} does not match specified template ${template}.`);
    name = m[2]!;
  }
  const plain = unescapeName(name);
  if (plain === null) throw new Failed('Failed to unescape string: Invalid argument');
  return on.has('path') ? (name === '-' ? '/' : `/${plain}`) : plain;
}
