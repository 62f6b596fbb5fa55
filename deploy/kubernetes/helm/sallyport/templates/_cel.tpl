{{/*
A value as an expression of CEL, so that the policy injects the very container that charts include. `type` is the message
type where `value` is a mapping, as in Object.spec.initContainers. Strings of JSON are strings of CEL.
*/}}
{{- define "sallyport.cel" -}}
{{- $type := .type -}}
{{- $indent := .indent -}}
{{- if kindIs "map" .value -}}
{{- $isMapping := has (last (splitList "." $type)) (list "requests" "limits" "labels" "annotations" "matchLabels" "volumeAttributes") -}}
{{- $entries := list -}}
{{- range $key, $one := .value -}}
{{- $cel := include "sallyport.cel" (dict "type" (printf "%s.%s" $type $key) "value" $one "indent" (printf "%s  " $indent)) -}}
{{- $entries = append $entries (printf "\n%s  %s: %s" $indent (ternary ($key | toJson) $key $isMapping) $cel) -}}
{{- end -}}
{{- printf "%s{%s%s}" (ternary "" $type $isMapping) (join "," $entries) (ternary "" (printf "\n%s" $indent) (empty $entries)) -}}
{{- else if kindIs "slice" .value -}}
{{- $elements := list -}}
{{- range .value -}}
{{- $elements = append $elements (include "sallyport.cel" (dict "type" $type "value" . "indent" $indent)) -}}
{{- end -}}
{{- printf "[%s]" (join ", " $elements) -}}
{{- else if kindIs "float64" .value -}}
{{- int64 .value -}}
{{- else -}}
{{- .value | toJson -}}
{{- end -}}
{{- end -}}
