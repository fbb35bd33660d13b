# Makes of a page of swift-argument-parser one that man-db can index: bootstorm-get(1) for
# "bootstorm get", and no empty lines, which mdoc has no place for.
/^\.Dd / { print ".Dd " date; next }
/^\.(Dt|Xr) / { head = substr($0, 1, 4); rest = substr($0, 5); gsub(/\./, "-", rest); print head rest; next }
/^\.Nm "/ { spoken = $0; gsub(/"/, ""); name = substr($0, 5); gsub(/ /, "-", name); print ".Nm " name; next }
/^\.Nm$/ && spoken != "" { print spoken; next }
/^$/ { print ".Pp"; next }
{ print }
