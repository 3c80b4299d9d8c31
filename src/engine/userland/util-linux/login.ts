/**
 * Becoming somebody else: su, runuser, login, and sudo; the set-user-ID bit of their files makes them root. There are no passwords:
 * root may become anybody, others are asked and refused, but members of group sudo may use sudo.
 * Source: su(1), login(1), sudo(8).
 */
import { SysError } from '../../kernel/abi.ts';
import { sys } from '../../kernel/sys.ts';
import { type Accounts, findGroup, findUser, groupName, readAccounts, type User, userName } from '../coreutils/accounts.ts';
import { execvp } from '../coreutils/run.ts';
import { BadOption, lastValue, parseOptions } from '../lib/args.ts';
import { attempt } from '../lib/files.ts';
import type { Call } from '../lib/http.ts';
import { command, complain, Failed, print, strerror } from '../lib/io.ts';
import { unseen } from '../lib/unseen.ts';

type Environment = Readonly<Record<string, string>>;

const ROOT_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
const USER_PATH = '/usr/local/bin:/usr/bin:/bin:/usr/local/games:/usr/games';

function* become(accounts: Accounts, user: User, gid = user.gid): Call<void> {
  const groups = accounts.groups.filter((g) => g.members.includes(user.name)).map((g) => g.gid);
  yield* sys('setgroups', [...new Set([gid, ...groups])]);
  yield* sys('setresgid', gid, gid, gid);
  yield* sys('setresuid', user.uid, user.uid, user.uid);
}

/** Reads a password without showing it, and refuses whatever it is. */
function* refused(question: string): Call<never> {
  yield* complain(question);
  yield* unseen(attempt(sys('read', 0, 4096), null));
  yield* complain('\n');
  throw new Failed('Authentication failure');
}

function* start(who: string, words: readonly string[], env: Environment): Call<number> {
  try {
    return yield* execvp(words, env);
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    const missing = error.errno === 'ENOENT';
    yield* complain(who === 'sudo' && missing && !words[0]!.includes('/') ? `sudo: ${words[0]}: command not found\n` : `${who}: failed to execute ${words[0]}: ${strerror(error)}\n`);
    return who === 'sudo' ? 1 : missing ? 127 : 126;
  }
}

function loginEnvironment(user: User, env: Environment): Record<string, string> {
  return {
    HOME: user.home, SHELL: user.shell || '/bin/sh', USER: user.name, LOGNAME: user.name, PATH: user.uid === 0 ? ROOT_PATH : USER_PATH, TERM: env.TERM ?? 'linux', LANG: env.LANG ?? 'C.UTF-8', MAIL: `/var/mail/${user.name}`,
  };
}

/** su [-] [-c COMMAND] [-s SHELL] [USER [ARG…]] */
export const su = command(function* (argv, env) {
  const dash = (word: string): string => (word === '-' ? '-l' : word);
  const o = parseOptions('c/command= s/shell= l/login m/preserve-environment p g/group= G= P/pty f u/user=', argv.slice(1).map(dash), 'in-order');
  const words = o.words.slice();
  // "su USER -c COMMAND": options may follow the name.
  const more = parseOptions('c/command= s/shell= l/login m/preserve-environment p', words.slice(1).map(dash), 'in-order');
  const given = (name: string): string | undefined => lastValue(more, name) ?? lastValue(o, name);
  const asked = (name: string): boolean => o.on.has(name) || more.on.has(name);
  const name = lastValue(o, 'user') ?? words[0] ?? 'root';
  const accounts = yield* readAccounts();
  const user = accounts.users.find((u) => u.name === name);
  if (!user) throw new Failed(`user ${name} does not exist or the user entry does not contain all the required fields`);
  if ((yield* sys('getuid')) !== 0) yield* refused('Password: ');
  const shell = given('shell') ?? (user.shell || '/bin/sh');
  yield* become(accounts, user);
  const login = asked('login');
  const kept = asked('preserve-environment') || asked('m') || asked('p');
  const into: Environment = login ? loginEnvironment(user, env) : kept ? env : { ...env, HOME: user.home, SHELL: shell, ...(user.uid === 0 ? {} : { USER: user.name, LOGNAME: user.name }), PATH: user.uid === 0 ? ROOT_PATH : USER_PATH };
  if (login && (yield* attempt(sys('chdir', user.home), null)) === null) {
    yield* complain(`su: warning: cannot change directory to ${user.home}: No such file or directory\n`);
    yield* attempt(sys('chdir', '/'), 0);
  }
  const base = shell.split('/').pop()!;
  const line = given('command');
  const args = [login ? `-${base}` : base, ...(line === undefined ? [] : ['-c', line]), ...more.words];
  return yield* shellAs('su', shell, args, into);
});

/** The shell under another name than its path. */
function* shellAs(who: string, shell: string, args: readonly string[], env: Environment): Call<number> {
  try {
    return yield* sys('execve', shell, args, env);
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    yield* complain(`${who}: failed to execute ${shell}: ${strerror(error)}\n`);
    return error.errno === 'ENOENT' ? 127 : 126;
  }
}

/** login [-f USER | USER] */
export const login = command(function* (argv, env) {
  const o = parseOptions('f= p h= H', argv.slice(1));
  if ((yield* sys('getuid')) !== 0) throw new Failed('Cannot possibly work without effective root');
  const name = lastValue(o, 'f') ?? o.words[0];
  if (name === undefined) throw new BadOption('not modelled: asking for a name; give one');
  const accounts = yield* readAccounts();
  const user = accounts.users.find((u) => u.name === name);
  if (!user) throw new Failed('Login incorrect');
  yield* become(accounts, user);
  if ((yield* attempt(sys('chdir', user.home), null)) === null) yield* attempt(sys('chdir', '/'), 0);
  const shell = user.shell || '/bin/sh';
  return yield* shellAs('login', shell, [`-${shell.split('/').pop()!}`], loginEnvironment(user, env));
});

const SUDO = 'u/user= g/group= i/login s/shell E/preserve-env n/non-interactive S/stdin k/reset-timestamp K v/validate l/list H/set-home b/background A e/edit p/prompt=';

export const sudo = command(function* (argv, env) {
  const o = parseOptions(SUDO, argv.slice(1), 'in-order');
  const accounts = yield* readAccounts();
  const uid = yield* sys('getuid');
  const caller = userName(accounts, uid);
  const admin = uid === 0 || accounts.groups.some((g) => g.name === 'sudo' && g.members.includes(caller));
  if (!admin) yield* refusedSudo(caller, o.on.has('non-interactive'));
  if (o.on.has('edit')) throw new Failed('not modelled: editing of files');
  if (o.on.has('list')) {
    yield* print(`User ${caller} may run the following commands on ${(yield* sys('uname')).nodename}:\n    (ALL : ALL) ALL\n`);
    return 0;
  }
  const name = lastValue(o, 'user') ?? 'root';
  const user = findUser(accounts, name.replace(/^#/, ''));
  if (!user) throw new Failed(`unknown user ${name}`);
  const group = lastValue(o, 'group');
  const gid = group === undefined ? user.gid : findGroup(accounts, group);
  if (gid === null) throw new Failed(`unknown group ${group}`);
  const words = o.words.slice();
  const set: Record<string, string> = {};
  while (words[0] && /^\w+=/.test(words[0])) {
    const [key = '', ...rest] = words.shift()!.split('=');
    set[key] = rest.join('=');
  }
  const interactive = o.on.has('login') || o.on.has('shell');
  if (words.length === 0 && !interactive) {
    if (o.on.has('validate') || o.on.has('reset-timestamp') || o.on.has('K')) return 0;
    yield* complain('usage: sudo -h | -K | -k | -V\nusage: sudo [-bEHnS] [-g group] [-u user] [VAR=value] [-i | -s] [command [arg ...]]\n');
    return 1;
  }
  const callerGid = yield* sys('getgid');
  yield* become(accounts, user, gid);
  const clean = {
    TERM: env.TERM ?? 'unknown', PATH: ROOT_PATH, HOME: user.home, SHELL: user.shell, LOGNAME: user.name, USER: user.name, SUDO_COMMAND: words.join(' '), SUDO_USER: caller, SUDO_UID: String(uid), SUDO_GID: String(callerGid),
  };
  const into = { ...(o.on.has('preserve-env') ? env : {}), ...(env.LANG ? { LANG: env.LANG } : {}), ...clean, ...set };
  if (o.on.has('login')) yield* attempt(sys('chdir', user.home), 0);
  if (!interactive) return yield* start('sudo', words, into);
  const shell = o.on.has('login') ? user.shell || '/bin/sh' : (env.SHELL ?? '/bin/sh');
  return yield* shellAs('sudo', shell, [`${o.on.has('login') ? '-' : ''}${shell.split('/').pop()!}`, ...(words.length > 0 ? ['-c', words.join(' ')] : [])], into);
});

function* refusedSudo(caller: string, quiet: boolean): Call<never> {
  if (quiet) throw new Failed('a password is required');
  yield* complain(`${caller} is not in the sudoers file.\n`);
  throw new Failed(`not modelled: passwords; root can add ${caller} to group sudo in /etc/group`);
}

/** runuser -u USER -- COMMAND…, or as su. */
export const runuser = command(function* (argv, env) {
  const o = parseOptions('u/user= g/group= c/command= s/shell= l/login', argv.slice(1), 'in-order');
  const name = lastValue(o, 'user');
  if (name === undefined) return ((yield* su(['su', ...argv.slice(1)], env)) ?? 0) as number;
  if ((yield* sys('getuid')) !== 0) throw new Failed('may not be used by non-root users');
  const accounts = yield* readAccounts();
  const user = accounts.users.find((u) => u.name === name);
  if (!user) throw new Failed(`user ${name} does not exist or the user entry does not contain all the required fields`);
  if (o.words.length === 0) throw new BadOption('no command was specified');
  yield* become(accounts, user, findGroup(accounts, lastValue(o, 'group') ?? groupName(accounts, user.gid)) ?? user.gid);
  return yield* start('runuser', o.words, env);
});
