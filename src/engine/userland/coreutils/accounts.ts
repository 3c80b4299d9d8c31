/** Users and groups: /etc/passwd and /etc/group of the root that the program sees. */
import { tryRead } from '../lib/files.ts';
import type { Call } from '../lib/http.ts';

export interface User {
  name: string;
  uid: number;
  gid: number;
  gecos: string;
  home: string;
  shell: string;
}

export interface Group {
  name: string;
  gid: number;
  members: string[];
}

export interface Accounts {
  users: User[];
  groups: Group[];
}

export function* readAccounts(): Call<Accounts> {
  return { users: parsePasswd((yield* tryRead('/etc/passwd')) ?? ''), groups: parseGroup((yield* tryRead('/etc/group')) ?? '') };
}

function parsePasswd(source: string): User[] {
  return rows(source, 7).map((f) => ({ name: f[0]!, uid: Number(f[2]), gid: Number(f[3]), gecos: f[4]!, home: f[5]!, shell: f[6]! }));
}

function parseGroup(source: string): Group[] {
  return rows(source, 4).map((f) => ({ name: f[0]!, gid: Number(f[2]), members: f[3]!.split(',').filter(Boolean) }));
}

function rows(source: string, width: number): string[][] {
  return source.split('\n').map((line) => line.split(':')).filter((fields) => fields.length >= width && /^\d+$/.test(fields[2]!));
}

/** The name, or the number where there is none. */
export function userName(accounts: Accounts, uid: number): string {
  return accounts.users.find((u) => u.uid === uid)?.name ?? String(uid);
}

export function groupName(accounts: Accounts, gid: number): string {
  return accounts.groups.find((g) => g.gid === gid)?.name ?? String(gid);
}

/** The uid of a name or a number; null when there is no such user. */
export function findUser(accounts: Accounts, name: string): User | null {
  const known = accounts.users.find((u) => u.name === name);
  if (known) return known;
  if (!/^\+?\d+$/.test(name)) return null;
  const uid = Number(name.replace('+', ''));
  return accounts.users.find((u) => u.uid === uid) ?? { name, uid, gid: uid, gecos: '', home: '/', shell: '/bin/sh' };
}

export function findGroup(accounts: Accounts, name: string): number | null {
  const known = accounts.groups.find((g) => g.name === name);
  if (known) return known.gid;
  return /^\+?\d+$/.test(name) ? Number(name.replace('+', '')) : null;
}
