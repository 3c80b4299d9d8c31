/** ipmitool: a machine's management controller is asked for its power. Source: ipmitool(1). Left out: everything but chassis power; RMCP+ on the wire. */
import { AF_INET, SOCK_STREAM, SysError } from '../../kernel/abi.ts';
import { sys } from '../../kernel/sys.ts';
import { bytes, text } from '../../sim/text.ts';
import { lastValue, parseOptions } from '../lib/args.ts';
import { attempt } from '../lib/files.ts';
import { type Call, writeAll } from '../lib/http.ts';
import { command, complain, print } from '../lib/io.ts';
import { getaddrinfo } from '../net/names.ts';

const SAID: Readonly<Record<string, string>> = { on: 'Up/On', off: 'Down/Off', cycle: 'Cycle', reset: 'Reset' };

export const ipmitool = command(function* (argv) {
  const o = parseOptions('I= H= U= P= p= L= C= E v a', argv.slice(1), 'in-order');
  const host = lastValue(o, 'H');
  const words = o.words[0] === 'chassis' ? o.words.slice(1) : o.words;
  const verb = words[1] ?? '';
  if (words[0] !== 'power' || !(verb in SAID || verb === 'status' || verb === 'soft')) {
    yield* complain(words[0] === 'power' ? 'chassis power Commands: status, on, off, cycle, reset, diag, soft\n' : 'not modelled: anything but [chassis] power status|on|off|cycle|reset\n');
    return 1;
  }
  if (host === undefined) {
    yield* complain('Could not open device at /dev/ipmi0 or /dev/ipmi/0 or /dev/ipmidev/0: No such file or directory\n');
    return 1;
  }
  if (verb === 'soft') {
    yield* complain('not modelled: power soft; `ssh HOST poweroff` asks the system\n');
    return 1;
  }
  const said = yield* ask(host, verb);
  if (said === null) {
    yield* complain('Error: Unable to establish IPMI v2 / RMCP+ session\n');
    return 1;
  }
  if (said.error !== undefined) {
    yield* complain(`Set Chassis Power Control to ${SAID[verb] ?? verb} failed: ${said.error}\n`);
    return 1;
  }
  yield* print(verb === 'status' ? `Chassis Power is ${said.on ? 'on' : 'off'}\n` : `Chassis Power Control: ${SAID[verb]}\n`);
  return 0;
});

function* ask(host: string, verb: string): Call<{ on?: boolean; error?: string } | null> {
  const found = yield* getaddrinfo(host);
  if ('failure' in found) return null;
  const fd = yield* sys('socket', AF_INET, SOCK_STREAM, 0);
  try {
    yield* sys('connect', fd, { family: 'inet', address: found.address, port: 623 });
    yield* writeAll(fd, bytes(`${JSON.stringify({ power: verb })}\n`));
    const data = yield* sys('read', fd, 4096);
    return data.length === 0 ? null : JSON.parse(text(data));
  } catch (error) {
    if (error instanceof SysError) return null;
    throw error;
  } finally {
    yield* attempt(sys('close', fd), 0);
  }
}
