/** conntrack: the connections that this network namespace tracks. Source: conntrack(8) of conntrack-tools 1.4.8. */
import { SysError, TCGETS } from '../../../kernel/abi.ts';
import type { Conn } from '../../../kernel/net/conntrack.ts';
import { type Program, sys } from '../../../kernel/sys.ts';
import { attempt } from '../../lib/files.ts';
import { complain, print } from '../../lib/io.ts';
import { complaining } from './iptables.ts';
import { IptablesError } from './words.ts';

const NUMBERS: Record<string, number> = { tcp: 6, udp: 17, icmp: 1 };

function connText(conn: Conn, now: number): string {
  const { orig, reply } = conn;
  const left = Math.max(0, Math.floor((conn.until - now) / 1e9));
  const ends = (t: typeof orig, type: number): string =>
    `src=${t.src} dst=${t.dst} ${t.proto === 'icmp' ? `type=${type} code=0 id=${t.sport}` : `sport=${t.sport} dport=${t.dport}`} `;
  const state = orig.proto === 'tcp' ? `${conn.state} ` : '';
  const unreplied = conn.replied ? '' : '[UNREPLIED] ';
  const assured = conn.replied && orig.proto === 'tcp' ? '[ASSURED] ' : '';
  return `${orig.proto.padEnd(8)} ${NUMBERS[orig.proto]} ${left} ${state}${ends(orig, 8)}${unreplied}${ends(reply, 0)}${assured}mark=${conn.mark} use=1\n`;
}

export const conntrack: Program = complaining(function* (argv) {
  const flush = argv.includes('-F') || argv.includes('--flush');
  if (!flush && !argv.includes('-L') && !argv.includes('--dump')) throw new IptablesError('conntrack v1.4.8 (conntrack-tools): not modelled: anything but -L and -F', 2);
  try {
    if (flush) {
      yield* sys('netlink', { type: 'ct.flush' });
      yield* complain('conntrack v1.4.8 (conntrack-tools): connection tracking table has been emptied.\n');
      return;
    }
    const rows = (yield* sys('netlink', { type: 'ct.list' })) as Conn[];
    const now = yield* sys('clock_gettime', 'monotonic');
    const shown = rows.map((conn) => connText(conn, now)).join('');
    const count = `conntrack v1.4.8 (conntrack-tools): ${rows.length} flow entries have been shown.\n`;
    // Standard output is written line by line to a terminal, at the end to anything else.
    const terminal = (yield* attempt(sys('ioctl', 1, TCGETS), null)) !== null;
    if (terminal) yield* print(shown);
    yield* complain(count);
    if (!terminal) yield* print(shown);
  } catch (error) {
    if (error instanceof SysError) throw new IptablesError('conntrack v1.4.8 (conntrack-tools): Operation failed: Operation not permitted', 1);
    throw error;
  }
});
