/** PS1 and its kin: backslash escapes, then expansion. Source: bash(1) PROMPTING. */
import { sys } from '../../kernel/sys.ts';
import { strftime } from '../coreutils/calendar.ts';
import { tryRead } from '../lib/files.ts';
import type { Call } from '../lib/http.ts';
import { expandString } from './expand.ts';
import type { Shell } from './state.ts';
import { get } from './variables.ts';

/** The text of a prompt variable; empty when it is unset. */
export function* promptText(sh: Shell, name: string): Call<string> {
  const raw = get(sh, name);
  if (raw === undefined) return '';
  const decoded = yield* decode(sh, raw);
  const text = decoded.includes('$') || decoded.includes('`') ? yield* expandString(sh, decoded) : decoded;
  return text.replace(/[\ue024\ue05c\ue060]/g, (c) => String.fromCharCode(c.charCodeAt(0) - PLAIN));
}

/** Added to the code of a $, \\ or ` that expansion must leave alone. */
const PLAIN = 0xe000;

function* decode(sh: Shell, raw: string): Call<string> {
  let out = '';
  for (let i = 0; i < raw.length; i++) {
    if (raw[i] !== '\\' || i + 1 >= raw.length) {
      out += raw[i]!;
      continue;
    }
    const octal = /^[0-7]{3}/.exec(raw.slice(i + 1));
    if (octal) {
      out += String.fromCharCode(Number.parseInt(octal[0], 8));
      i += 3;
      continue;
    }
    i++;
    out += yield* promptEscape(sh, raw[i]!);
  }
  return out;
}

function* promptEscape(sh: Shell, letter: string): Call<string> {
  switch (letter) {
    case 'u': return yield* userName();
    case 'h': return sh.host.split('.')[0]!;
    case 'H': return sh.host;
    case 'w': return quoted(directory(sh));
    case 'W': return quoted(directory(sh) === '/' ? '/' : directory(sh).split('/').pop()!);
    case '$': return (yield* sys('geteuid')) === 0 ? '#' : quoted('$');
    case 's': return sh.arg0.replace(/^-/, '').replace(/^.*\//, '');
    case 'n': return '\r\n';
    case 'r': return '\r';
    case 'a': return '\x07';
    case 'e': return '\x1b';
    case '\\': return quoted('\\');
    case '[': case ']': return '';
    case 'j': return String(sh.jobs.filter((j) => j.id > 0).length);
    case '!': case '#': return String(sh.history.length + 1);
    case 'v': return '5.2';
    case 'V': return '5.2.15';
    case 'l': return 'tty';
    case 't': return yield* now('%H:%M:%S');
    case 'T': return yield* now('%I:%M:%S');
    case '@': return yield* now('%I:%M %p');
    case 'A': return yield* now('%H:%M');
    case 'd': return yield* now('%a %b %d');
    default: return `\\${letter}`;
  }
}

const quoted = (path: string): string => path.replace(/[$`\\]/g, (c) => String.fromCharCode(c.charCodeAt(0) + PLAIN));

function* now(format: string): Call<string> {
  return strftime(format, (yield* sys('clock_gettime', 'realtime')) / 1e9);
}

function* userName(): Call<string> {
  const uid = yield* sys('geteuid');
  const line = (yield* tryRead('/etc/passwd'))?.split('\n').find((l) => l.split(':')[2] === String(uid));
  return line?.split(':')[0] ?? (uid === 0 ? 'root' : 'I have no name!');
}

function directory(sh: Shell): string {
  const home = get(sh, 'HOME') ?? '';
  const { cwd } = sh;
  return home !== '' && home !== '/' && (cwd === home || cwd.startsWith(`${home}/`)) ? `~${cwd.slice(home.length)}` : cwd;
}
