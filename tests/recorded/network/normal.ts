/** What no two machines share in what network tools print: indexes of links, hardware addresses, times, ports, ids. */

export function normalTools(text: string): string {
  return text
    .replace(/\b[0-9a-f]{2}(:[0-9a-f]{2}){5}\b/g, (mac) => (/^(00:){5}00$|^(ff:){5}ff$/.test(mac) ? mac : 'MAC'))
    .replace(/[0-9a-f]{2}(:[0-9a-f]{2}){5}/g, 'MAC')
    .replace(/\b8000\.[0-9a-f]{12}\b/g, '8000.ID')
    .replace(/fe80::[0-9a-f:]+/g, 'LINKLOCAL').replace(/ff02::1:ff[0-9a-f:]+/g, 'NODES')
    .replace(/@if\d+/g, '@ifN').replace(/"(link_index|ifindex)":\d+/g, '"$1":N').replace(/^\d+: (?=\S+: |[\w.@-]+ +inet)/gm, 'N: ').replace(/^\d+:\t(?=[a-z])/gm, 'N:\t')
    .replace(/time=[\d.]+ ms/g, 'time=T ms').replace(/^rtt .*$/gm, 'rtt').replace(/time \d+ms$/gm, 'time Tms').replace(/after \d+ ms/g, 'after T ms')
    .replace(/ on \w{3} \w{3} +\d+ [\d:]{8} \d{4}$/gm, ' on DATE').replace(/^Last-Modified: .*$/gm, 'Last-Modified: DATE')
    .replace(/(sport|dport)=[3-6]\d{4}/g, '$1=PORT').replace(/(\d):[3-6]\d{4}\b/g, '$1:PORT').replace(/pid=\d+/g, 'pid=N')
    .replace(/^((?:ipv4 +2 )?(?:icmp +1|tcp +6|udp +17)) \d+/gm, '$1 LEFT').replace(/ id=\d+/g, ' id=ID').replace(/, id \d+,/g, ', id ID,').replace(/seed \d+/g, 'seed S')
    .replace(/^\d\d:\d\d:\d\d\.\d{6} /gm, 'CLOCK ')
    .replace(/ +$/gm, '');
}
