/** How runc speaks: logrus' text and JSON lines, to standard error or to the file that --log names. */
import { nowNs, isoSeconds } from '../../lib/clock.ts';
import { appendFile, attempt } from '../../lib/files.ts';
import type { Call } from '../../lib/http.ts';
import { complain } from '../../lib/io.ts';

/** The global options. */
export interface Settings {
  root: string;
  systemd: boolean;
  log: string | null;
  json: boolean;
  debug: boolean;
}

/** A refusal in runc's words; `status` is the exit status. */
export class Fatal extends Error {
  readonly status: number;
  constructor(message: string, status = 1) {
    super(message);
    this.status = status;
  }
}

/** A value as logrus' text formatter writes it: quoted when it holds more than plain word characters. */
export function quoted(text: string): string {
  return text !== '' && /^[A-Za-z0-9\-._/@^+]*$/.test(text) ? text : JSON.stringify(text);
}

export function* log(settings: Settings, level: 'fatal' | 'error' | 'warning' | 'info' | 'debug', message: string, error?: string): Call<void> {
  if (level === 'debug' && !settings.debug) return;
  const time = isoSeconds(yield* nowNs());
  const line = settings.json ? `${JSON.stringify({ ...(error === undefined ? {} : { error }), level, msg: message, time })}\n` : `time="${time}" level=${level} msg=${quoted(message)}${error === undefined ? '' : ` error=${quoted(error)}`}\n`;
  if (settings.log === null) yield* complain(line);
  else yield* attempt(appendFile(settings.log, line), undefined);
}

/** The last words: in the log, and plain on standard error where the log is a file. */
export function* fatal(settings: Settings, message: string): Call<void> {
  yield* log(settings, 'error', message);
  if (settings.log !== null) yield* complain(`${message}\n`);
}

/** The newest error of a JSON log, or ''. */
export function lastError(source: string): string {
  let found = '';
  for (const line of source.split('\n')) {
    try {
      const { level, msg } = JSON.parse(line) as { level?: string; msg?: string };
      if (level === 'error' && msg) found = msg;
    } catch {
      continue;
    }
  }
  return found;
}
