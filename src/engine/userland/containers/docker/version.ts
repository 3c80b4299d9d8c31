/** What this docker says of itself: the versions that the recordings were made with. */
export const BUILD = {
  version: '26.1.5+dfsg1',
  cliCommit: 'a72d7cd',
  engineCommit: '411e817',
  go: 'go1.24.4',
  time: 'Thu Aug 13 05:35:47 2026',
  isoTime: '2026-08-13T05:35:47.000000000+00:00',
  containerd: '1.7.24~ds1',
  containerdCommit: '1.7.24~ds1-6+deb13u1',
  runc: '1.1.15+ds1',
  runcCommit: '1.1.15+ds1-2+b4',
  init: '0.19.0',
} as const;
