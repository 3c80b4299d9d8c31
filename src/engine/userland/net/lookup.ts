/** getent and nslookup: names from the files that the machine has. DNS is not modelled; nslookup says so when a name is not in /etc/hosts. */
import type { Program } from '../../kernel/sys.ts';
import { tryRead } from '../lib/files.ts';
import type { Call } from '../lib/http.ts';
import { command, complain, print } from '../lib/io.ts';
import { ipNumber } from './addresses.ts';
import { hosts, nameOf, resolve } from './names.ts';

function* getentHosts(keys: readonly string[]): Call<number> {
  const all = yield* hosts();
  if (keys.length === 0) {
    for (const { address, names } of all) yield* print(`${address.padEnd(15)} ${names.join(' ')}\n`);
    return 0;
  }
  let status = 0;
  for (const key of keys) {
    const found = all.find((one) => one.names.includes(key) || one.address === key);
    if (found) yield* print(`${found.address.padEnd(15)} ${found.names.join(' ')}\n`);
    else status = 2;
  }
  return status;
}

/** Lines of a file of records, by their first field or by number in the third. */
function* getentFile(path: string, keys: readonly string[]): Call<number> {
  const lines = ((yield* tryRead(path)) ?? '').split('\n').filter(Boolean);
  if (keys.length === 0) {
    for (const line of lines) yield* print(`${line}\n`);
    return 0;
  }
  let status = 0;
  for (const key of keys) {
    const found = lines.find((line) => line.split(':')[0] === key || line.split(':')[2] === key);
    if (found) yield* print(`${found}\n`);
    else status = 2;
  }
  return status;
}

export const getent: Program = command(function* (argv) {
  const [database, ...keys] = argv.slice(1);
  switch (database) {
    case 'hosts': case 'ahosts': case 'ahostsv4':
      return yield* getentHosts(keys);
    case 'passwd': case 'group':
      return yield* getentFile(`/etc/${database}`, keys);
    case undefined:
      yield* complain("getent: wrong number of arguments\nTry `getent --help' or `getent --usage' for more information.\n");
      return 1;
    default:
      yield* complain(`Unknown database: ${database}\nTry \`getent --help' or \`getent --usage' for more information.\n`);
      return 1;
  }
});

export const nslookup: Program = command(function* (argv) {
  const name = argv.slice(1).find((word) => !word.startsWith('-'));
  if (name === undefined) {
    yield* complain('nslookup: not modelled: interactive mode\n');
    return 1;
  }
  const address = yield* resolve(name);
  if (address === null) {
    yield* print(`** server can't find ${name}: NXDOMAIN (not modelled: DNS; names come from /etc/hosts)\n\n`);
    return 1;
  }
  const shown = ipNumber(name) === null ? name : ((yield* nameOf(address)) ?? address);
  yield* print(`Name:\t${shown}\nAddress: ${address}\n\n`);
  return 0;
});
