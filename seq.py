import sys
p=sys.argv[1]
lines=[l for l in open(p) if l.startswith('pick')]
d={l.split('wip: ')[1].strip():l for l in lines}
order=['path at grant','root once a turn','effects','requests in place','split, table','histogram','no coroutines, no copies','import','tests, docs']
out=[]
for k in order:
    l=d[k]
    if k in('split, table','import'): l=l.replace('pick','fixup',1)
    out.append(l)
open(p,'w').writelines(out)
