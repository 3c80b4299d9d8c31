/** What no two runs of these recordings share: process ids, dates, amounts that were counted, names made from process ids. */
export function normal(text: string): string {
  return text
    .replaceAll('/bin/bash: line', 'bash: line')
    .replace(/(line \d+:) +\d+ (Killed|Terminated) +/g, '$1 PID $2 ')
    .replace(/\b[A-Z][a-z]{2} [ \d]\d \d\d:\d\d\b/g, 'DATE')
    .replace(/\/proc\/\d+/g, '/proc/PID').replace(/pid=\d+/g, 'pid=N').replace(/process \d+/g, 'process N')
    .replace(/^(\S*(?:max|oom|high)) [1-9]\d*$/gm, '$1 N')
    .replace(/[‘’]/g, "'").replace(/\bsession-\d+/g, 'session-N').replace(/\bpid \d+/g, 'pid N').replace(/(total-vm|anon-rss|file-rss|pgtables):\d+kB/g, '$1:KIB').replace(/\/sed\w{6}\b/g, '/sedXXXXXX').replace(/hugetlb\.1GB.*\n/g, '')
    .replace(/run-p\d+-i\d+/g, 'run-pN-iN').replace(/invocation ID: \w+/g, 'invocation ID: X');
}
