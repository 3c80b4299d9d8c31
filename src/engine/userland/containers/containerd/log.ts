/** containerd's journal: logrus' text with nanoseconds and fields. */
import { isoNano, nowNs } from '../../lib/clock.ts';
import type { Call } from '../../lib/http.ts';
import { complain } from '../../lib/io.ts';
import { quoted } from '../runc/log.ts';

export function* journal(level: 'info' | 'warning' | 'error', message: string, fields: Readonly<Record<string, string | number>> = {}): Call<void> {
  const more = Object.entries(fields).map(([k, v]) => ` ${k}=${quoted(String(v))}`).join('');
  yield* complain(`time=${JSON.stringify(isoNano(yield* nowNs()))} level=${level} msg=${quoted(message)}${more}\n`);
}
