/** Refusals of rtnetlink: an errno, and perhaps the text that the kernel sends along (NLMSGERR_ATTR_MSG). */
import { type Errno, SysError } from '../abi.ts';
import { linkByName } from './state.ts';
import type { Link, NetNamespace } from './types.ts';

export class Refused extends SysError {
  readonly text: string;
  constructor(errno: Errno, text: string) {
    super(errno);
    this.text = text;
  }
}

/** Throws ENODEV. */
export function linkNamed(ns: NetNamespace, name: unknown): Link {
  const link = linkByName(ns, String(name));
  if (!link) throw new SysError('ENODEV');
  return link;
}
