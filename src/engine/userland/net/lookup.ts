/** getent, which asks as programs do, and nslookup, which asks name servers only. Source: getent(1), nslookup(1) of BIND. */
import { SysError } from '../../kernel/abi.ts';
import type { Program } from '../../kernel/sys.ts';
import { attempt, tryRead } from '../lib/files.ts';
import type { Call } from '../lib/http.ts';
import { command, complain, print, strerror } from '../lib/io.ts';
import { ipNumber } from './addresses.ts';
import { askServer, candidates, type DnsAnswer, type ResolvConf, resolvConf } from './dns.ts';
import { hosts, resolve } from './names.ts';
import { PROTOCOLS, serviceName, servicePort } from './services.ts';

function* getentHosts(keys: readonly string[]): Call<number> {
  const all = yield* hosts();
  if (keys.length === 0) {
    for (const { address, names } of all) yield* print(`${address.padEnd(15)} ${names.join(' ')}\n`);
    return 0;
  }
  let status = 0;
  for (const key of keys) {
    // IPv6 is asked first
    const has = all.filter((one) => one.names.includes(key) || one.address === key);
    const found = has.find((one) => one.address.includes(':')) ?? has[0];
    const address = found || ipNumber(key) !== null ? null : yield* resolve(key);
    if (found) yield* print(`${found.address.padEnd(15)} ${found.names.join(' ')}\n`);
    else if (address) yield* print(`${address.padEnd(15)} ${key}\n`);
    else status = 2;
  }
  return status;
}

/** Each address once for every kind of socket, the name at the first. */
function* getentAll(keys: readonly string[]): Call<number> {
  for (const key of keys) {
    const known = (yield* hosts()).filter((one) => one.names.includes(key) && ipNumber(one.address) !== null).map((one) => one.address);
    const found = known.length > 0 ? known : ipNumber(key) !== null ? [key] : [yield* resolve(key)].filter((one) => one !== null);
    if (found.length === 0) return 2;
    for (const [i, address] of found.entries()) yield* print(['STREAM', 'DGRAM', 'RAW'].map((kind, n) => `${address.padEnd(15)} ${kind.padEnd(6)} ${i === 0 && n === 0 ? key : ''}\n`).join(''));
  }
  return 0;
}

function* getentServices(keys: readonly string[]): Call<number> {
  let status = 0;
  for (const key of keys) {
    const [name = '', proto] = key.split('/');
    const protocol = proto ?? 'tcp';
    const port = /^\d+$/.test(name) ? Number(name) : servicePort(name, protocol);
    const called = port === null ? null : serviceName(port, protocol);
    if (called === null) status = 2;
    else yield* print(`${called.padEnd(21)} ${port}/${protocol}${called === 'http' ? ' www' : ''}\n`);
  }
  return status;
}

function* getentProtocols(keys: readonly string[]): Call<number> {
  let status = 0;
  for (const key of keys) {
    const found = Object.entries(PROTOCOLS).find(([name, number]) => name === key.toLowerCase() || String(number) === key);
    if (!found) status = 2;
    else yield* print(`${found[0].padEnd(21)} ${found[1]} ${found[0].toUpperCase()}\n`);
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
    case 'hosts':
      return yield* getentHosts(keys);
    case 'ahosts': case 'ahostsv4':
      return yield* keys.length === 0 ? getentHosts(keys) : getentAll(keys);
    case 'services':
      return yield* getentServices(keys);
    case 'protocols':
      return yield* getentProtocols(keys);
    case 'passwd': case 'group':
      return yield* getentFile(`/etc/${database}`, keys);
    case undefined:
      yield* complain("getent: wrong number of arguments\nTry `getent --help' or `getent --usage' for more information.\n");
      return 1;
    default:
      yield* complain(`Unknown database: ${database}\n`);
      yield* print("Try `getent --help' or `getent --usage' for more information.\n");
      return 1;
  }
});

export const nslookup: Program = command(function* (argv) {
  const [name, server] = argv.slice(1).filter((word) => !word.startsWith('-'));
  if (name === undefined) {
    yield* complain('nslookup: not modelled: interactive mode\n');
    return 1;
  }
  const conf = yield* resolvConf();
  if (server !== undefined) conf.servers = [(yield* resolve(server)) ?? server];
  if (ipNumber(name) !== null) return yield* reverse(conf, name);
  for (const at of conf.servers) {
    const status = yield* askAbout(at, name, conf);
    if (status !== null) return status;
  }
  yield* print(';; no servers could be reached\n\n');
  return 1;
});

/** The name of an address, by a PTR record. */
function* reverse(conf: ResolvConf, address: string): Call<number> {
  const question = `${address.split('.').reverse().join('.')}.in-addr.arpa`;
  for (const server of conf.servers) {
    const answer = yield* attempt(askServer(server, question, conf.timeout, 12), null);
    if (!answer) continue;
    if (answer.names.length === 0) yield* print(`** server can't find ${question}: ${answer.code === 3 ? 'NXDOMAIN' : answer.code === 2 ? 'SERVFAIL' : 'No answer'}\n\n`);
    for (const one of answer.names) yield* print(`${question}\tname = ${one}.\n`);
    if (answer.names.length > 0) yield* print('\n');
    return answer.names.length > 0 ? 0 : 1;
  }
  yield* print(';; no servers could be reached\n\n');
  return 1;
}

/** What one server says; null when it says nothing. */
function* askAbout(server: string, name: string, conf: ResolvConf): Call<number | null> {
  for (const candidate of candidates(name, conf)) {
    let answer: DnsAnswer | null = null;
    for (let attempt = 0; attempt < 3 && !answer; attempt++) {
      try {
        answer = yield* askServer(server, candidate, conf.timeout);
        if (!answer) yield* print(`;; communications error to ${server}#53: timed out\n`);
      } catch (error) {
        if (!(error instanceof SysError)) throw error;
        yield* print(`;; communications error to ${server}#53: ${strerror(error).toLowerCase()}\n`);
      }
    }
    if (!answer) return null;
    if (answer.addresses.length === 0 && candidate !== candidates(name, conf).at(-1)) continue;
    yield* print(`Server:\t\t${server}\nAddress:\t${server}#53\n\n`);
    if (answer.addresses.length === 0) {
      yield* print(`** server can't find ${name}: ${answer.code === 3 ? 'NXDOMAIN' : answer.code === 0 ? 'No answer' : 'SERVFAIL'}\n\n`);
      return 1;
    }
    yield* print(`Non-authoritative answer:\n${answer.addresses.map((address) => `Name:\t${candidate}\nAddress: ${address}\n`).join('')}\n`);
    return 0;
  }
  return null;
}
