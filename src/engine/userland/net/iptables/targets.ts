/** The target extensions: their options, and how -S and -L show them. Source: iptables-extensions(8), extensions/libxt_*.c of 1.8.11. */
import type { Rule } from '../../../kernel/net/netfilter.ts';
import { ipNumber } from '../addresses.ts';
import type { Match } from './matches.ts';
import { markAndMask } from './matches.ts';
import { hex, number, saved, usage } from './words.ts';

type Target = Match;

const one = (set: (rule: Rule, value: string) => void): Target['options'][string] => ({ values: 1, set: (rule, value) => set(rule, value) });
const none = (set: (rule: Rule) => void): Target['options'][string] => ({ values: 0, set: (rule) => set(rule) });
const plain: Target = { options: {}, save: () => '', list: () => '' };

// ---- nat

function natPorts(word: string): void {
  const [low, high = low] = word.split('-') as [string, string | undefined];
  for (const part of [low, high]) {
    const n = number(part, 65535);
    if (n === null) throw usage(`Port \`${part}' not valid`);
  }
  if (Number(low) > Number(high)) throw usage(`Port range \`${word}' funky`);
}

function address(rule: Rule, word: string): void {
  const [ips, ports] = word.split(':') as [string, string | undefined];
  if (ports !== undefined) {
    if (!rule.proto || !['tcp', 'udp', 'sctp', 'dccp'].includes(rule.proto.is)) throw usage('Need TCP, UDP, SCTP or DCCP with port specification');
    natPorts(ports.split('/')[0]!);
  }
  if (ips !== '') for (const ip of ips.split('-')) if (ipNumber(ip) === null) throw usage(`Bad IP address "${ip}"`);
  rule.to = word;
}

const flag = (name: string): Target['options'][string] =>
  none((rule) => {
    rule.natflags = [...(rule.natflags ?? []), name];
  });
const FLAGS = { '--random': flag('random'), '--random-fully': flag('random-fully'), '--persistent': flag('persistent') };
const flagsSaved = (rule: Rule): string => (rule.natflags ?? []).map((name) => ` --${name}`).join('');
const flagsListed = (rule: Rule): string => (rule.natflags ?? []).map((name) => ` ${name}`).join('');

function translation(option: string, name: string): Target {
  return {
    options: { [option]: one(address), ...FLAGS },
    check(rule) {
      if (rule.to === undefined) throw usage(`${name}: option "${option}" must be specified\n`);
    },
    save: (rule) => ` ${option} ${rule.to}${flagsSaved(rule)}`,
    list: (rule) => ` to:${rule.to}${flagsListed(rule)}`,
  };
}

function toPorts(label: string): Target {
  return {
    options: {
      '--to-ports': one((rule, value) => {
        if (!rule.proto || !['tcp', 'udp', 'sctp', 'dccp'].includes(rule.proto.is)) throw usage('Need TCP, UDP, SCTP or DCCP with port specification');
        natPorts(value);
        rule.to = value;
      }),
      ...FLAGS,
    },
    save: (rule) => `${rule.to ? ` --to-ports ${rule.to}` : ''}${flagsSaved(rule)}`,
    list: (rule) => `${rule.to ? ` ${label} ${rule.to}` : ''}${flagsListed(rule)}`,
  };
}

// ---- LOG, REJECT

const LEVELS = ['emerg', 'alert', 'crit', 'error', 'warn', 'notice', 'info', 'debug'];
const LEVEL_NAMES: Readonly<Record<string, number>> = { ...Object.fromEntries(LEVELS.map((name, i) => [name, i])), panic: 0, warning: 4, err: 3 };
const LOGGED = ['tcp-sequence', 'tcp-options', 'ip-options', 'uid', 'macdecode'];

const logOf = (rule: Rule): NonNullable<Rule['log']> => (rule.log ??= { level: 4, prefix: '', options: [] });

function level(word: string): number {
  const n = number(word, 7) ?? LEVEL_NAMES[word.toLowerCase()];
  if (n === undefined) throw usage(`log level "${word}" unknown\n`);
  return n;
}

const log: Target = {
  options: {
    '--log-level': one((rule, value) => void (logOf(rule).level = level(value))),
    '--log-prefix': one((rule, value) => {
      if (/\n/.test(value)) throw usage('Newlines not allowed in --log-prefix');
      logOf(rule).prefix = value.slice(0, 29);
    }),
    ...Object.fromEntries(LOGGED.map((name) => [`--log-${name}`, none((rule) => void logOf(rule).options.push(name))])),
  },
  check: (rule) => void logOf(rule),
  save(rule) {
    const { level: n, prefix, options } = logOf(rule);
    return `${prefix ? ` --log-prefix ${saved(prefix)}` : ''}${n === 4 ? '' : ` --log-level ${n}`}${LOGGED.filter((name) => options.includes(name)).map((name) => ` --log-${name}`).join('')}`;
  },
  list(rule, numeric) {
    const { level: n, prefix, options } = logOf(rule);
    const flags = options.reduce((sum, name) => sum + [1, 2, 4, 8, 32][LOGGED.indexOf(name)]!, 0);
    if (numeric) return ` LOG flags ${flags} level ${n}${prefix ? ` prefix "${prefix}"` : ''}`;
    return ` LOG level ${LEVELS[n]}${LOGGED.filter((name) => options.includes(name)).map((name) => ` ${name}`).join('')}${prefix ? ` prefix "${prefix}"` : ''}`;
  },
};

const SHORT: Readonly<Record<string, string>> = {
  'net-unreach': 'icmp-net-unreachable', 'host-unreach': 'icmp-host-unreachable', 'proto-unreach': 'icmp-proto-unreachable', 'port-unreach': 'icmp-port-unreachable',
  'net-prohib': 'icmp-net-prohibited', 'host-prohib': 'icmp-host-prohibited', 'tcp-rst': 'tcp-reset', 'admin-prohib': 'icmp-admin-prohibited',
};

const REJECTIONS = [
  'icmp-net-unreachable', 'icmp-host-unreachable', 'icmp-proto-unreachable', 'icmp-port-unreachable', 'icmp-net-prohibited', 'icmp-host-prohibited', 'icmp-admin-prohibited', 'tcp-reset',
];

const reject: Target = {
  options: {
    '--reject-with': one((rule, value) => {
      const full = SHORT[value] ?? REJECTIONS.find((name) => name.startsWith(value));
      if (!full) throw usage(`unknown reject type "${value}"`);
      rule.reject = full;
    }),
  },
  check: (rule) => void (rule.reject ??= 'icmp-port-unreachable'),
  save: (rule) => ` --reject-with ${rule.reject ?? 'icmp-port-unreachable'}`,
  list: (rule) => ` reject-with ${rule.reject ?? 'icmp-port-unreachable'}`,
};

// ---- marks

function setter(turn: (value: number, mask: number | null) => [number, number], name: string): Target['options'][string] {
  return one((rule, word) => {
    const [value, mask] = turn(...markAndMask(word, name));
    rule.setmark = `${value >>> 0}/${mask >>> 0}`;
  });
}

const ALL = 0xffffffff;
const MARKS = {
  '--set-xmark': setter((value, mask) => [value, mask ?? ALL], 'set-xmark'), '--set-mark': setter((value, mask) => [value, mask === null ? ALL : value | mask], 'set-mark'),
  '--and-mark': setter((value) => [0, ~value], 'and-mark'), '--or-mark': setter((value) => [value, value], 'or-mark'), '--xor-mark': setter((value) => [value, 0], 'xor-mark'),
};

function markSaid(name: string, setmark: string): string {
  const [value, mask] = setmark.split('/').map(Number) as [number, number];
  if (value === 0) return ` ${name} and ${hex(~mask >>> 0)}`;
  if (value === mask) return ` ${name} or ${hex(value)}`;
  if (mask === 0) return ` ${name} xor ${hex(value)}`;
  return mask === ALL ? ` ${name} set ${hex(value)}` : ` ${name} xset ${hex(value)}/${hex(mask)}`;
}

const xmark = (setmark: string): string => ` --set-xmark ${setmark.split('/').map((n) => hex(Number(n))).join('/')}`;

const mark: Target = {
  options: MARKS,
  check(rule) {
    if (rule.setmark === undefined) throw usage('MARK: One of the --set-xmark, --{and,or,xor,set}-mark options is required');
  },
  save: (rule) => xmark(rule.setmark ?? '0/0'),
  list: (rule) => markSaid('MARK', rule.setmark ?? '0/0'),
};

const connmark: Target = {
  options: { ...MARKS, '--save-mark': none((rule) => void (rule.setmark = 'save')), '--restore-mark': none((rule) => void (rule.setmark = 'restore')) },
  check(rule) {
    if (rule.setmark === undefined) throw usage('CONNMARK target: No operation specified');
  },
  save: ({ setmark = '' }) => (/^[sr]/.test(setmark) ? ` --${setmark}-mark --nfmask 0xffffffff --ctmask 0xffffffff` : xmark(setmark)),
  list: ({ setmark = '' }) => (/^[sr]/.test(setmark) ? ` CONNMARK ${setmark}` : markSaid('CONNMARK', setmark)),
};

// ---- what changes packets

const ttlOption = (how: string): Target['options'][string] =>
  one((rule, value) => {
    if (number(value, 255) === null) throw usage(`TTL: bad value for option "--ttl-${how}", or out of range (0-255).`);
    rule.argument = `${how} ${value}`;
  });

const ttl: Target = {
  options: { '--ttl-set': ttlOption('set'), '--ttl-dec': ttlOption('dec'), '--ttl-inc': ttlOption('inc') },
  check(rule) {
    if (!rule.argument) throw usage('TTL: You must specify an action');
  },
  save: ({ argument = '' }) => ` --ttl-${argument}`,
  list({ argument = '' }) {
    const [how, n] = argument.split(' ');
    return ` TTL ${how === 'set' ? 'set to' : how === 'dec' ? 'decrement by' : 'increment by'} ${n}`;
  },
};

const tcpmss: Target = {
  options: {
    '--clamp-mss-to-pmtu': none((rule) => void (rule.argument = 'clamp')),
    '--set-mss': one((rule, value) => {
      if (number(value, 65495) === null) throw usage('TCPMSS: bad value for option "--set-mss", or out of range (0-65495).');
      rule.argument = value;
    }),
  },
  check(rule) {
    if (!rule.argument) throw usage('TCPMSS target: At least one parameter is required');
  },
  save: ({ argument }) => (argument === 'clamp' ? ' --clamp-mss-to-pmtu' : ` --set-mss ${argument}`),
  list: ({ argument }) => (argument === 'clamp' ? ' TCPMSS clamp to PMTU' : ` TCPMSS set ${argument}`),
};

const ct: Target = {
  options: { '--notrack': none((rule) => void (rule.argument = '--notrack')) },
  check(rule) {
    if (!rule.argument) throw usage('CT: No operation specified');
  },
  save: () => ' --notrack',
  list: () => ' CT notrack',
};

/** Targets that are not chains. */
export const TARGETS: Readonly<Record<string, Target>> = {
  ACCEPT: plain, DROP: plain, RETURN: plain, NOTRACK: plain, REJECT: reject, LOG: log, MARK: mark, CONNMARK: connmark, MASQUERADE: toPorts('masq ports:'), REDIRECT: toPorts('redir ports'),
  DNAT: translation('--to-destination', 'DNAT'), SNAT: translation('--to-source', 'SNAT'), TTL: ttl, TCPMSS: tcpmss, CT: ct,
};
