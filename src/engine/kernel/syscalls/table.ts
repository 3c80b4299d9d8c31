/** Every system call and its handler: the families joined, exhaustive over the interface by type. */
import { fileHandlers } from './files.ts';
import type { Handlers } from './handlers.ts';
import { identityHandlers } from './identity.ts';
import { ipcHandlers } from './ipc.ts';
import { logHandlers } from './log.ts';
import { memoryHandlers } from './memory.ts';
import { mountHandlers } from './mounts.ts';
import { namespaceHandlers } from './namespaces.ts';
import { perfHandlers } from './perf.ts';
import { pollHandlers } from './poll.ts';
import { processHandlers } from './process.ts';
import { signalHandlers } from './signals.ts';
import { socketHandlers } from './sockets.ts';
import { timeHandlers } from './time.ts';

export const SYSCALLS: Handlers = {
  ...processHandlers,
  ...signalHandlers,
  ...identityHandlers,
  ...timeHandlers,
  ...memoryHandlers,
  ...namespaceHandlers,
  ...fileHandlers,
  ...mountHandlers,
  ...pollHandlers,
  ...socketHandlers,
  ...perfHandlers,
  ...logHandlers,
  ...ipcHandlers,
};
